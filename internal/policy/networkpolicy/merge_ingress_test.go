package networkpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// database is a single container with callers.
var database = policy.Scope{
	Subjects: []policy.Subject{{Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true}},
	Peers: []policy.Workload{
		{Name: "gateway", Namespace: "edge", Labels: map[string]string{"app.kubernetes.io/name": "envoy"}},
	},
}

// Rules of orders-db, in the form that Generate writes.
const (
	fromCheckout = "  - {from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432, protocol: TCP}]}\n"
	fromGateway  = "  - {from: [{podSelector: {matchLabels: {app.kubernetes.io/name: envoy}}, " +
		"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}}], ports: [{port: 5432, protocol: TCP}]}\n"
	fromServer = "  - {from: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 5432, protocol: TCP}]}\n"
	fromAnyone = "  - {ports: [{port: 5432, protocol: TCP}]}\n"
)

func checkIngressMerges(t *testing.T, scope policy.Scope, rows []mergeRow) {
	t.Helper()
	for _, row := range rows {
		got := Dialect{scope}.Merge(parse(t, row.committed), row.flows)
		if diff := cmp.Diff(parse(t, row.want), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		for _, f := range row.flows {
			if v := (Dialect{scope}).Evaluate(got, f); v.Outcome != policy.Allowed {
				t.Errorf("%s: %s is %s: %s", row.reason, arrow(f), v.Outcome, v.Reason)
			}
		}
	}
}

func TestMerge_AddsCallers(t *testing.T) {
	db := workload("orders-db")
	byServer := between(at("203.0.113.9"), db, 5432)
	byAnyone := between(flow.Endpoint{Kind: flow.Anyone}, db, 5432)
	byGateway := between(workload("gateway"), db, 5432)
	checkIngressMerges(t, database, []mergeRow{
		{
			"each where Generate would have it", server + fromCheckout + fromServer,
			[]flow.Flow{byGateway, byServer, query(5432)},
			server + fromCheckout + fromGateway + fromServer,
		},
		{
			"in the order in which a person left the others",
			server + fromServer + fromCheckout, []flow.Flow{byServer, query(5432), byGateway},
			server + fromGateway + fromServer + fromCheckout,
		},
		{"a port goes to the rule of its peer", server + fromCheckout, []flow.Flow{query(5432), query(9187)},
			server + "  - {from: [{podSelector: {matchLabels: {app: checkout}}}], " +
				"ports: [{port: 5432, protocol: TCP}, {port: 9187, protocol: TCP}]}\n"},
		{"also to that for anyone", server + fromAnyone, []flow.Flow{byAnyone, between(byAnyone.Source, db, 80)},
			server + "  - {ports: [{port: 80, protocol: TCP}, {port: 5432, protocol: TCP}]}\n"},
		{
			"a rule for some is none for anyone, and one for anyone is for all",
			server + fromServer, []flow.Flow{byServer, byAnyone}, server + fromAnyone,
		},
		{
			"at its port",
			server + strings.Replace(fromServer, "5432", "9187", 1),
			[]flow.Flow{between(at("203.0.113.9"), db, 9187), byAnyone},
			server + strings.Replace(fromServer, "5432", "9187", 1) + fromAnyone,
		},
		{
			"nor is one for all pods and addresses",
			server + "  - {from: [{namespaceSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}]}\n",
			[]flow.Flow{byServer, query(5432), byAnyone}, server + fromAnyone,
		},
		{
			"who is excepted gets a rule",
			server + "  - {from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}]}\n",
			[]flow.Flow{between(at("203.0.113.1"), db, 5432), byServer},
			server + "  - {from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}]}\n" + fromServer,
		},
		{
			"an address with ports of its own gets one more there",
			server + "  - {from: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 9187}]}\n",
			[]flow.Flow{byServer, between(byServer.Source, db, 9187)},
			server + "  - {from: [{ipBlock: {cidr: 203.0.113.9/32}}], ports: [{port: 5432, protocol: TCP}, {port: 9187}]}\n",
		},
		{
			"who calls for the first time isolates",
			strings.Replace(server, "[Egress, Ingress]", "[Egress]", 1),
			[]flow.Flow{query(5432)}, server + fromCheckout,
		},
		{
			"a policy is added at the end",
			"metadata: {name: audit}\nspec: {podSelector: {}, policyTypes: [Egress]}",
			[]flow.Flow{query(5432)},
			"metadata: {name: audit}\nspec: {podSelector: {}, policyTypes: [Egress]}\n---\n" +
				"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy" + server + fromCheckout,
		},
	})
}

func TestMerge_KeepsRulesForCallers(t *testing.T) {
	db := workload("orders-db")
	byServer, byGateway := between(at("203.0.113.9"), db, 5432), between(workload("gateway"), db, 5432)
	var rows []mergeRow
	for reason, rule := range map[string]string{
		"a wider selector":                  "{from: [{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}]}",
		"every pod of the namespace":        "{from: [{podSelector: {}}]}",
		"every namespace, and nothing else": "{from: [{namespaceSelector: {}}]}",
		"an empty list of peers":            "{from: [], ports: [{port: 5432}]}",
		"no list of ports":                  "{from: [{podSelector: {matchLabels: {app: checkout}}}]}",
		"an empty list of ports":            "{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: []}",
		"no port": "{from: [{podSelector: {matchLabels: {app: checkout}}}], " +
			"ports: [{protocol: TCP}]}",
		"no protocol":      "{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432}]}",
		"a range of ports": "{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5000, endPort: 6000}]}",
		"everything":       "{}",
	} {
		policy := server + "  - " + rule + "\n"
		rows = append(rows, mergeRow{reason, policy, []flow.Flow{query(5432)}, policy})
	}
	block := server + "  - {from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]}\n"
	namespace := server + "  - {from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}}]}\n"
	audit := "metadata: {name: audit}\nspec: {podSelector: {}, policyTypes: [Ingress], " +
		"ingress: [{from: [{podSelector: {}}]}, {from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}\n---" + server
	rows = append(rows,
		mergeRow{"a range around an address", block, []flow.Flow{byServer}, block},
		mergeRow{"a namespace by its selector alone", namespace, []flow.Flow{byGateway}, namespace},
		mergeRow{"an unrelated policy with unused rules", audit, []flow.Flow{query(5432)}, audit},
	)
	checkIngressMerges(t, database, rows)
}

func TestMerge_RemovesUnusedCallers(t *testing.T) {
	clientOnly := strings.Replace(server, "[Egress, Ingress]", "[Egress]", 1)
	const audit = "metadata: {name: audit}\nspec: {podSelector: {}, policyTypes: [Ingress], " +
		"ingress: [{from: [{podSelector: {}}]}]}\n---"
	const two = "  - {from: [{podSelector: {matchLabels: {app: cart}}}, " +
		"{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 9187}, {port: 5432}]}\n"
	checkIngressMerges(t, database, []mergeRow{
		{"a rule", server + fromServer + fromCheckout, []flow.Flow{query(5432)}, server + fromCheckout},
		{
			"a peer and a port", server + two, []flow.Flow{query(5432)},
			server + "  - {from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432}]}\n",
		},
		{
			"all, and with them the type", server + fromCheckout + fromServer, nil,
			strings.Replace(clientOnly, "ingress:", "", 1),
		},
		{"not a policy type that denies everything on purpose", server, nil, server},
		{
			"not the type of a server, whom another policy lets be called",
			audit + server + fromServer, []flow.Flow{query(5432)}, audit + server,
		},
		{
			"of a policy of that type only, too: it gets the other",
			strings.Replace(server, "Egress, ", "", 1) + fromCheckout,
			nil,
			strings.Replace(clientOnly, "ingress:", "", 1),
		},
	})
}

func TestMerge_IngressOfTestProcess(t *testing.T) {
	rules := strings.ReplaceAll(server, "orders-db", "checkout") + fromServer
	rules = strings.Replace(rules, "ingress:", "egress: []\n  ingress:", 1)
	checkIngressMerges(t, alone(checkout), []mergeRow{
		{"who calls it is not known", rules, nil, rules},
		{
			"but who was seen and is denied is let in", rules,
			[]flow.Flow{between(at("203.0.113.10"), workload("checkout"), 80)},
			rules + "  - {from: [{ipBlock: {cidr: 203.0.113.10/32}}], ports: [{port: 80, protocol: TCP}]}\n",
		},
	})
}

// A policy that starts to isolate its subject for ingress may isolate other subjects too.
func TestMerge_NewlyIsolatedSubjects(t *testing.T) {
	committed := strings.Replace(
		strings.Replace(server, "{matchLabels: {app: orders-db}}", "{}", 1), "[Egress, Ingress]", "[Egress]", 1,
	)
	called := between(workload("worker"), workload("checkout"), 80)
	merged := Dialect{shop}.Merge(parse(t, committed), []flow.Flow{query(5432), called})
	for _, f := range []flow.Flow{query(5432), called} {
		if v := (Dialect{shop}).Evaluate(merged, f); v.Outcome != policy.Allowed {
			t.Errorf("%s is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
	}
	if v := (Dialect{shop}).EvaluateEnd(merged, checkout, policy.Ingress, called); v.Outcome != policy.Allowed ||
		v.Policy != "checkout" {
		t.Errorf("at the test process: %+v", v)
	}
}

func TestMerge_ChangesBothEnds(t *testing.T) {
	got := Dialect{shop}.Merge(parse(t, both), []flow.Flow{query(5432), query(9187)})
	want := Dialect{shop}.Generate([]flow.Flow{query(5432), query(9187)})
	want[0].TypeMeta, want[1].TypeMeta = got[0].TypeMeta, got[1].TypeMeta
	for _, p := range want {
		for i := range p.Spec.Egress {
			if port := &p.Spec.Egress[i].Ports[0]; port.Port.IntVal == 5432 {
				port.Protocol = nil // as a person writes it
			}
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
