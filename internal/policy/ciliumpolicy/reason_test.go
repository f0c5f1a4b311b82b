package ciliumpolicy

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestReason_BothEnds checks the reasons in messages. Each names the rule, or the nearest rule and the
// difference, for every policy that matters at either end.
func TestReason_BothEnds(t *testing.T) {
	const (
		port   = `toPorts: [{ports: [{port: "5432", protocol: TCP}]}]`
		toDB   = `egress: [{toEndpoints: [{matchLabels: {"k8s:app": orders-db}}], ` + port + `}]`
		shut   = `egress: [{}]`
		access = `ingress: [{fromEndpoints: [{matchLabels: {"k8s:app": checkout}}], ` + port + `}]`
	)
	db, gateway := workload("orders-db"), workload("gateway")
	stripe := external("api.stripe.com", "198.51.100.1")
	from := func(e flow.Endpoint) flow.Flow { return between(e, db, 5432) }
	to := func(e flow.Endpoint, port uint16) flow.Flow { return between(workload("checkout"), e, port) }
	for _, row := range []struct {
		egress, ingress string
		flow            flow.Flow
		outcome         policy.Outcome
		policy, reason  string
	}{
		{
			toDB, access, query(5432), policy.Allowed, "checkout",
			"egress rule 0 (pods app=orders-db); policy orders-db: ingress rule 0 (pods app=checkout)",
		},
		{toDB, "", query(5432), policy.Allowed, "checkout", "egress rule 0 (pods app=orders-db)"},
		{
			toDB, access, query(5433), policy.Denied, "checkout",
			"port 5433/TCP, egress rule 0 (pods app=orders-db) allows 5432/TCP; policy orders-db: port 5433/TCP, " +
				"ingress rule 0 (pods app=checkout) allows 5432/TCP",
		},
		{
			shut, access, query(5432), policy.Denied, "checkout",
			"policy checkout has no egress rules that allow anything: it denies everything",
		},
		{
			toDB, `ingress: [{}]`, query(5432), policy.Denied, "orders-db",
			"policy orders-db has no ingress rules that allow anything: it denies everything",
		},
		{
			toDB,
			`ingress: [{fromEndpoints: [{matchLabels: {app: cart}}]}]`,
			query(5432), policy.Denied, "orders-db",
			"no ingress rule is for checkout; ingress rule 0 (pods app=cart) allows port 5432/TCP",
		},
		{
			toDB,
			`ingressDeny: [{fromEndpoints: [{}], toPorts: [{ports: [{port: "5432"}]}]}]`,
			query(5432), policy.Denied, "orders-db",
			"ingressDeny rule 0 (all pods, 5432/ANY) denies it, whatever other rules allow",
		},
		{
			toDB,
			`ingress: [{fromEndpoints: [{matchLabels: {app: checkout}}], toPorts: [{ports: [{port: pg, protocol: TCP}]}]}]`,
			query(5432), policy.Denied, "orders-db",
			"port 5432/TCP, ingress rule 0 (pods app=checkout) allows pg/TCP; " +
				"only the pods define port name pg: write the number, or use Manifests",
		},
		{
			shut, access, from(gateway), policy.Denied, "orders-db",
			"no ingress rule is for gateway.edge (pods app.kubernetes.io/name=envoy); ingress rule 0 (pods app=checkout) " +
				"allows port 5432/TCP",
		},
		{
			shut,
			`ingress: [{fromEndpoints: [{matchLabels: {app.kubernetes.io/name: envoy}}]}]`,
			from(gateway), policy.Denied, "orders-db",
			"gateway.edge (pods app.kubernetes.io/name=envoy) is in another namespace than ingress rule 0 (pods " +
				"app.kubernetes.io/name=envoy)",
		},
		{
			shut,
			`ingress: [{fromEndpoints: [{matchLabels: {"io.kubernetes.pod.namespace": edge}}]}]`,
			from(gateway), policy.Allowed, "orders-db", "ingress rule 0 (all pods in namespace edge)",
		},
		{
			shut,
			`ingress: [{fromCIDRSet: [{cidr: 203.0.113.0/24, except: [203.0.113.8/29]}]}]`,
			from(at("203.0.113.9")), policy.Denied, "orders-db",
			"203.0.113.9 is in the range 203.0.113.8/29 that ingress rule 0 (203.0.113.0/24) excepts",
		},
		{
			shut, `ingress: [{fromCIDR: [203.0.113.0/24]}]`, from(at("203.0.113.9")), policy.Allowed, "orders-db",
			"ingress rule 0 (203.0.113.0/24)",
		},
		{
			shut, `ingress: [{fromEntities: [cluster]}]`, from(flow.Endpoint{Kind: flow.Anyone}), policy.Denied,
			"orders-db",
			"no ingress rule is for callers from anywhere; ingress rule 0 (cluster) allows port 5432/TCP",
		},
		{
			shut, `ingress: [{fromEntities: [all]}]`, from(flow.Endpoint{Kind: flow.Anyone}), policy.Allowed, "orders-db",
			"ingress rule 0 (anywhere)",
		},
		{
			`egress: [{toEntities: [world], toPorts: [{ports: [{port: "80", endPort: 89, protocol: TCP}]}]}]`,
			"", to(stripe, 443), policy.Denied, "checkout",
			"port 443/TCP, egress rule 0 (the internet) allows 80-89/TCP",
		},
		{
			`egress: [{toFQDNs: [{matchName: api.stripe.com}]}]`,
			"", to(stripe, 443), policy.Denied, "checkout",
			"egress rule 0 (api.stripe.com) never matches: no rule lets Cilium read the lookup of api.stripe.com (toPorts " +
				"with rules.dns, to the resolver at port 53)",
		},
		{
			`egress: [{toCIDR: [198.51.100.1/32]}, {toFQDNs: [{matchName: other.example}]}]`,
			"", to(stripe, 443), policy.Denied, "checkout",
			"api.stripe.com is not in toFQDNs, and egress rule 0 (198.51.100.1/32) is for an address without a name",
		},
		{
			`egress: [{toEntities: [kube-apiserver]}]`, "", to(flow.ClusterAPIServer, 443), policy.Allowed, "checkout",
			"egress rule 0 (kube-apiserver)",
		},
	} {
		var policies Policies
		for name, rules := range map[string]string{"checkout": row.egress, "orders-db": row.ingress} {
			if rules == "" {
				continue
			}
			p := new(cilium.NetworkPolicy)
			text := "metadata: {name: " + name + "}\nspec:\n  endpointSelector: {matchLabels: {\"k8s:app\": " + name + "}}\n  " +
				rules
			if err := yaml.UnmarshalStrict([]byte(text), p); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if err := cilium.Validate(p); err != nil {
				t.Fatal(err)
			}
			policies = append(policies, p)
		}
		got := Dialect{shop}.Evaluate(policies, row.flow)
		if got.Outcome != row.outcome || got.Policy != row.policy || got.Reason != row.reason {
			t.Errorf("%s with %s and %s is %s by %s: %s\nwant %s by %s: %s",
				arrow(row.flow), row.egress, row.ingress, got.Outcome, got.Policy, got.Reason, row.outcome, row.policy, row.reason)
		}
	}
}
