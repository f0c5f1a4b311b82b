package policy_test

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPortNames_ResolvedByPods(t *testing.T) {
	db := policy.Workload{
		Name: "db",
		Ports: []policy.Port{
			{Name: "pg", Number: 5432, Protocol: flow.TCP},
			{Name: "metrics", Number: 9187, Protocol: flow.TCP},
			{Name: "sync", Number: 5432, Protocol: flow.UDP},
		},
	}
	scope := policy.Scope{
		Subjects: []policy.Subject{{Workload: checkout}},
		Peers: []policy.Workload{db, {Name: "web", Ports: []policy.Port{{Name: "pg", Number: 80, Protocol: flow.TCP}}},
			{
				Name: "names",
				Ports: []policy.Port{
					{Name: "dns", Number: 53, Protocol: flow.TCP}, {Name: "dns", Number: 53, Protocol: flow.UDP},
					{Name: "dns", Number: 5353, Protocol: flow.SCTP},
				},
			}},
	}
	for _, row := range []struct {
		reason, port string
		flow         flow.Flow
		want         policy.Outcome
		says         string
	}{
		{"the number that it has there", "port: pg", tcp(workload("db"), 5432), policy.Allowed, ""},
		{"another number", "port: pg", tcp(workload("db"), 5433), policy.Denied, "allows pg/TCP; pg is 5432/TCP there"},
		{"each pod has its own", "port: pg", tcp(workload("web"), 80), policy.Allowed, ""},
		{"and not that of another", "port: pg", tcp(workload("web"), 5432), policy.Denied, "pg is 80/TCP there"},
		{
			"the protocol is the rule's", "port: pg, protocol: UDP", udp(workload("db"), 5432), policy.Denied,
			"pg is 5432/TCP there",
		},
		{"and the pods'", "port: sync, protocol: UDP", udp(workload("db"), 5432), policy.Allowed, ""},
		{"a name that they do not have", "port: http", tcp(workload("db"), 5432), policy.Denied, "http is no port of db"},
		{
			"unknown pods", "port: http", tcp(workload("cache"), 6379), policy.Denied,
			"only the pods define port name http",
		},
		{"a name for several protocols, the first", "port: dns", tcp(workload("names"), 53), policy.Allowed, ""},
		{"the second", "port: dns, protocol: UDP", udp(workload("names"), 53), policy.Allowed, ""},
		{"a number that one protocol has, for the other", "port: dns", tcp(workload("names"), 5353), policy.Denied,
			"dns is 53/TCP and 53/UDP and 5353/SCTP there"},
		{"another number for several protocols", "port: dns", tcp(workload("names"), 54), policy.Denied,
			"dns is 53/TCP and 53/UDP and 5353/SCTP there"},
		{"the resolver's are the same everywhere", "port: dns, protocol: UDP", udp(resolver(), 53), policy.Allowed, ""},
		{
			"an address has no names", "port: https", tcp(at("203.0.113.9"), 443), policy.Denied,
			"https is a name that only pods give to a port",
		},
	} {
		cilium := strings.Replace(strings.Replace(row.port, "port: ", "port: \"", 1), ", protocol", "\", protocol", 1)
		if !strings.Contains(cilium, "protocol") {
			cilium += "\", protocol: TCP"
		}
		f := from(checkout, row.flow)[0]
		for dialect, v := range map[string]policy.Verdict{
			"NetworkPolicy": networkpolicy.Dialect{Scope: scope}.Evaluate(
				parse(t, header+"  - {ports: [{"+row.port+"}]}\n"), f,
			),
			"CiliumNetworkPolicy": ciliumpolicy.Dialect{Scope: scope}.Evaluate(
				ciliumpolicy.Policies{ciliumPolicy(t, "  egress: [{toPorts: [{ports: [{"+cilium+"}]}]}]")}, f,
			),
		} {
			if v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
				t.Errorf("%s, %s: %s: %s, want %s: %q", row.reason, dialect, v.Outcome, v.Reason, row.want, row.says)
			}
		}
	}
}

func TestNamespaces_MatchedByLabels(t *testing.T) {
	scope := alone(checkout)
	scope.Namespaces = map[string]map[string]string{"data": {"team": "storage"}, "default": {"team": "shop"}}
	rules := map[string]string{
		"team in storage":     "{key: team, operator: In, values: [storage]}",
		"team is not shop":    "{key: team, operator: NotIn, values: [shop]}",
		"there is a team":     "{key: team, operator: Exists}",
		"there is no team":    "{key: team, operator: DoesNotExist}",
		"its name is its own": "{key: kubernetes.io/metadata.name, operator: In, values: [data]}",
	}
	for name, expression := range rules {
		policies := parse(t, header+"  - {to: [{namespaceSelector: {matchExpressions: ["+expression+"]}}]}\n")
		key := strings.Replace(expression, "key: ", "key: io.cilium.k8s.namespace.labels.", 1)
		ciliums := ciliumpolicy.Policies{ciliumPolicy(t, "  egress: [{toEndpoints: [{matchExpressions: ["+key+"]}]}]")}
		for namespace, want := range map[string]string{
			"data":  "team in storage, team is not shop, there is a team, its name is its own",
			"":      "there is a team", // the policy's namespace, default
			"infra": "team is not shop, there is no team",
		} {
			f := from(checkout, tcp(workloadIn(namespace, "orders-db"), 5432))[0]
			for _, v := range []policy.Verdict{
				(networkpolicy.Dialect{Scope: scope}).Evaluate(policies, f),
				ciliumpolicy.Dialect{Scope: scope}.Evaluate(ciliums, f),
			} {
				if (v.Outcome == policy.Allowed) != strings.Contains(want, name) {
					t.Errorf("%s, namespace %q: %s: %s", name, namespace, v.Outcome, v.Reason)
				}
			}
		}
	}
}
