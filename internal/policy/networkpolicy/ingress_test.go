package networkpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	client = `
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: orders-db}}}], ports: [{port: 5432}]}]
`
	server = `
metadata: {name: orders-db}
spec:
  podSelector: {matchLabels: {app: orders-db}}
  policyTypes: [Egress, Ingress]
  ingress:
`
	both = client + "\n---" + server
)

func TestIngress_RulesMatchCallers(t *testing.T) {
	db := workload("orders-db")
	worker, gateway, anyone := workloadIn("jobs", "worker"), workload("gateway"), flow.Endpoint{Kind: flow.Anyone}
	for _, row := range []struct {
		rule    string
		flow    flow.Flow
		outcome policy.Outcome
		reason  string
	}{
		{"{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432}]}", query(5432), policy.Allowed,
			"egress rule 0 (pods app=orders-db); policy orders-db: ingress rule 0 (pods app=checkout)"},
		{"{from: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 5432}]}", query(5432), policy.Denied,
			"no ingress rule is for checkout; ingress rule 0 (pods app=cart) allows 5432/TCP"},
		{"{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5433}]}", query(5432), policy.Denied,
			"port 5432/TCP, ingress rule 0 (pods app=checkout) allows 5433/TCP"},
		{"{from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432}]}", query(5433), policy.Denied,
			"port 5433/TCP, egress rule 0 (pods app=orders-db) allows 5432/TCP; policy orders-db: port 5433/TCP, " +
				"ingress rule 0 (pods app=checkout) allows 5432/TCP"},
		{
			"{from: [{podSelector: {matchLabels: {app: checkout}}, " +
				"namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: web}}}]}",
			query(5432), policy.Denied,
			"checkout is in another namespace than ingress rule 0 (pods app=checkout in namespace web)",
		},
		{"{from: [{namespaceSelector: {}}]}", query(5432), policy.Allowed,
			"egress rule 0 (pods app=orders-db); policy orders-db: ingress rule 0 (all pods in all namespaces)"},
		{"{ports: [{port: postgres}]}", query(5432), policy.Denied,
			"port 5432/TCP, ingress rule 0 (anywhere) allows postgres/TCP; " +
				"only the pods define port name postgres: write the number, or use Manifests"},
		{"{ports: [{port: 5000, endPort: 5999}]}", query(5432), policy.Allowed,
			"egress rule 0 (pods app=orders-db); policy orders-db: ingress rule 0 (anywhere)"},
		{"{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}", query(5432), policy.Denied, "no ingress rule is for checkout"},

		{
			"{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}, " +
				"podSelector: {matchLabels: {app.kubernetes.io/name: envoy}}}]}",
			between(gateway, db, 1), policy.Allowed,
			"ingress rule 0 (pods app.kubernetes.io/name=envoy in namespace edge)",
		},
		{"{from: [{podSelector: {matchLabels: {app.kubernetes.io/name: envoy}}}]}", between(gateway, db, 1), policy.Denied,
			"gateway.edge (pods app.kubernetes.io/name=envoy) is in another namespace than ingress rule 0 (pods " +
				"app.kubernetes.io/name=envoy)"},
		{"{from: [{podSelector: {matchLabels: {app: gateway}}}]}", between(gateway, db, 1), policy.Denied,
			"no ingress rule is for gateway.edge (pods app.kubernetes.io/name=envoy); ingress rule 0 (pods app=gateway) " +
				"allows 1/TCP"},

		{
			"{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}]}",
			between(at("203.0.113.7"), db, 1), policy.Allowed, "ingress rule 0 (203.0.113.0/24)",
		},
		{
			"{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/29]}}]}",
			between(at("203.0.113.9"), db, 1), policy.Denied,
			"203.0.113.9 is in the range 203.0.113.8/29 that ingress rule 0 (203.0.113.0/24) excepts",
		},
		{
			"{from: [{ipBlock: {cidr: 198.51.100.1/32}}]}",
			between(external("lb.example", "198.51.100.1"), db, 1),
			policy.Allowed, "ingress rule 0 (198.51.100.1/32)",
		},
		{
			"{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}",
			between(flow.Endpoint{Kind: flow.External, Name: "lb.example"}, db, 1),
			policy.Inexpressible, "the address of lb.example is not known",
		},
		{
			"{from: [{podSelector: {}}]}",
			between(flow.Endpoint{Kind: flow.Resolver, Name: "kube-dns"}, db, 1),
			policy.Inexpressible, "the source is of no known kind",
		},

		{"{ports: [{port: 5432}]}", between(anyone, db, 5432), policy.Allowed, "ingress rule 0 (anywhere)"},
		{"{from: [], ports: [{port: 5432}]}", between(anyone, db, 5432), policy.Allowed, "ingress rule 0 (anywhere)"},
		{
			"{ports: [{port: 5432}]}", between(anyone, db, 5433), policy.Denied,
			"port 5433/TCP, ingress rule 0 (anywhere) allows 5432/TCP",
		},
		{
			"{from: [{podSelector: {}, namespaceSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 5432}]}",
			between(anyone, db, 5432), policy.Denied,
			"no ingress rule is for callers from anywhere; ingress rule 0 (all pods in all namespaces) allows 5432/TCP",
		},

		{
			"{}",
			between(workload("checkout"), workloadIn("other", "orders-db"), 5432),
			policy.Denied,
			"orders-db.other is in another namespace than egress rule 0 (pods app=orders-db)",
		},
		{"{}", between(db, worker, 1), policy.Unprotected, "no policy isolates orders-db for egress"},
		{"{}", between(anyone, worker, 1), policy.Unprotected, "no policy isolates worker for ingress"},
		{"{}", between(anyone, gateway, 1), policy.Unprotected, "neither anywhere nor gateway is in scope"},
	} {
		policies := both + "  - " + row.rule + "\n"
		if row.outcome == policy.Unprotected {
			policies = client
		}
		got := Dialect{shop}.Evaluate(parse(t, policies), row.flow)
		if got.Outcome != row.outcome ||
			got.Reason != row.reason && !(row.outcome == policy.Unprotected && strings.HasPrefix(got.Reason, row.reason)) {
			t.Errorf("%s with %s is %s: %s\nwant %s: %s",
				arrow(row.flow), row.rule, got.Outcome, got.Reason, row.outcome, row.reason)
		}
	}
}

func TestIngress_RemovingEitherEndDenies(t *testing.T) {
	const toDB = "  - {from: [{podSelector: {matchLabels: {app: checkout}}}], ports: [{port: 5432}]}\n"
	noClient := strings.Replace(client, "egress: [{", "egress: [] # [{", 1)
	for _, row := range []struct {
		reason, policies string
		outcome          policy.Outcome
		policy, why      string
	}{
		{
			"both ends allow", both + toDB, policy.Allowed, "checkout",
			"egress rule 0 (pods app=orders-db); policy orders-db: ingress rule 0 (pods app=checkout)",
		},
		{
			"the server's rule is gone", both, policy.Denied, "orders-db",
			"policy orders-db has no ingress rules: it denies everything",
		},
		{
			"the client's rule is gone", noClient + "\n---" + server + toDB, policy.Denied, "checkout",
			"policy checkout has no egress rules: it denies everything",
		},
		{"both are gone", noClient + "\n---" + server, policy.Denied, "checkout",
			"policy checkout has no egress rules: it denies everything; policy orders-db has no ingress rules: " +
				"it denies everything"},
		{"who is not isolated takes everything", client, policy.Allowed, "checkout", "egress rule 0 (pods app=orders-db)"},
	} {
		want := policy.Verdict{Outcome: row.outcome, Policy: row.policy, Rule: -1, Reason: row.why}
		if row.outcome == policy.Allowed {
			want.Rule = 0
		}
		if row.policy == "orders-db" {
			want.Direction = policy.Ingress
		}
		if diff := cmp.Diff(want, (Dialect{shop}).Evaluate(parse(t, row.policies), query(5432))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestIngress_EmptyRuleIsNoticed(t *testing.T) {
	got := Dialect{shop}.Evaluate(parse(t, both+"  - {}\n"), query(5432))
	want := []string{"policy orders-db: ingress rule 0 is {}, which allows everything"}
	if diff := cmp.Diff(want, got.Notices); diff != "" || got.Outcome != policy.Allowed {
		t.Errorf("%s, notices (-want +got):\n%s", got.Outcome, diff)
	}
	open := strings.Replace(client, "{to:", "{}, {to:", 1) + "\n---" + server + "  - {}\n"
	want = append([]string{"policy checkout: egress rule 0 is {}, which allows everything"}, want...)
	if diff := cmp.Diff(want, (Dialect{shop}).Evaluate(parse(t, open), query(5432)).Notices); diff != "" {
		t.Errorf("notices of both ends (-want +got):\n%s", diff)
	}
}

func TestIngress_IgnoresHostNames(t *testing.T) {
	policies := parse(
		t,
		strings.Replace(
			server, "name: orders-db", `name: orders-db, annotations: {netzero.dev/egress-names: "a.example:1/TCP"}`, 1,
		)+"  - {from: [{ipBlock: {cidr: 0.0.0.0/0}}]}\n",
	)
	for _, source := range []flow.Endpoint{at("198.51.100.1"), external("lb.example", "198.51.100.1")} {
		want := policy.Verdict{
			Outcome: policy.Allowed, Direction: policy.Ingress, Policy: "orders-db", Reason: "ingress rule 0 (the internet)",
		}
		if diff := cmp.Diff(want, (Dialect{shop}).Evaluate(policies, between(source, workload("orders-db"), 1))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}
