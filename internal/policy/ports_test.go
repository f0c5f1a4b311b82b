package policy

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPortsGoByTheNamesThatThePodsGiveThem(t *testing.T) {
	db := Workload{Name: "db", Ports: []Port{{"pg", 5432, flow.TCP}, {"metrics", 9187, flow.TCP}, {"sync", 5432, flow.UDP}}}
	scope := Scope{
		Subjects: []Subject{{Workload: checkout}},
		Peers: []Workload{db, {Name: "web", Ports: []Port{{"pg", 80, flow.TCP}}},
			{Name: "names", Ports: []Port{{"dns", 53, flow.TCP}, {"dns", 53, flow.UDP}, {"dns", 5353, flow.SCTP}}}},
	}
	for _, row := range []struct {
		reason, port string
		flow         flow.Flow
		want         Outcome
		says         string
	}{
		{"the number that it has there", "port: pg", tcp(workload("db"), 5432), Allowed, ""},
		{"another number", "port: pg", tcp(workload("db"), 5433), Denied, "allows pg/TCP; pg is 5432/TCP there"},
		{"each pod has its own", "port: pg", tcp(workload("web"), 80), Allowed, ""},
		{"and not that of another", "port: pg", tcp(workload("web"), 5432), Denied, "pg is 80/TCP there"},
		{"the protocol is the rule's", "port: pg, protocol: UDP", udp(workload("db"), 5432), Denied, "pg is 5432/TCP there"},
		{"and the pods'", "port: sync, protocol: UDP", udp(workload("db"), 5432), Allowed, ""},
		{"a name that they do not have", "port: http", tcp(workload("db"), 5432), Denied, "http is no port of db"},
		{"pods of which nothing is known", "port: http", tcp(workload("cache"), 6379), Denied, "what port http is, only the pods know"},
		{"a name for several protocols, the first", "port: dns", tcp(workload("names"), 53), Allowed, ""},
		{"the second", "port: dns, protocol: UDP", udp(workload("names"), 53), Allowed, ""},
		{"a number that one protocol has, for the other", "port: dns", tcp(workload("names"), 5353), Denied,
			"dns is 53/TCP and 53/UDP and 5353/SCTP there"},
		{"another number for several protocols", "port: dns", tcp(workload("names"), 54), Denied,
			"dns is 53/TCP and 53/UDP and 5353/SCTP there"},
		{"the resolver's are the same everywhere", "port: dns, protocol: UDP", udp(resolver(), 53), Allowed, ""},
		{"an address has no names", "port: https", tcp(at("203.0.113.9"), 443), Denied, "https is a name that only pods give to a port"},
	} {
		cilium := strings.Replace(strings.Replace(row.port, "port: ", "port: \"", 1), ", protocol", "\", protocol", 1)
		if !strings.Contains(cilium, "protocol") {
			cilium += "\", protocol: TCP"
		}
		f := from(checkout, row.flow)[0]
		for dialect, v := range map[string]Verdict{
			"NetworkPolicy":       scope.Evaluate(parse(t, header+"  - {ports: [{"+row.port+"}]}\n"), f),
			"CiliumNetworkPolicy": Cilium{scope}.Evaluate(ciliumPolicies{ciliumPolicy(t, "  egress: [{toPorts: [{ports: [{"+cilium+"}]}]}]")}, f),
		} {
			if v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
				t.Errorf("%s, %s: %s: %s, want %s: %q", row.reason, dialect, v.Outcome, v.Reason, row.want, row.says)
			}
		}
	}
}

func TestWhoServesResolvesPortsForIngressToo(t *testing.T) {
	scope := Scope{Subjects: []Subject{{Workload{Name: "orders-db", Ports: []Port{{"pg", 5432, flow.TCP}}}, true}}}
	policies := parse(t, "metadata: {name: orders-db}\nspec: {podSelector: {}, ingress: [{ports: [{port: pg}]}]}")
	for port, want := range map[uint16]Outcome{5432: Allowed, 5433: Denied} {
		if v := scope.Evaluate(policies, between(workload("checkout"), workload("orders-db"), port)); v.Outcome != want {
			t.Errorf("port %d: %s: %s", port, v.Outcome, v.Reason)
		}
	}
}

func TestNamespacesGoByTheirLabels(t *testing.T) {
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
		ciliums := ciliumPolicies{ciliumPolicy(t, "  egress: [{toEndpoints: [{matchExpressions: ["+key+"]}]}]")}
		for namespace, want := range map[string]string{
			"data":  "team in storage, team is not shop, there is a team, its name is its own",
			"":      "there is a team", // that of the policy, which is default
			"infra": "team is not shop, there is no team",
		} {
			f := from(checkout, tcp(workloadIn(namespace, "orders-db"), 5432))[0]
			for _, v := range []Verdict{scope.Evaluate(policies, f), Cilium{scope}.Evaluate(ciliums, f)} {
				if (v.Outcome == Allowed) != strings.Contains(want, name) {
					t.Errorf("%s, namespace %q: %s: %s", name, namespace, v.Outcome, v.Reason)
				}
			}
		}
	}
}
