package networkpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestScope_GoldenPolicies(t *testing.T) {
	// Unordered. The database has two replicas and several callers, among them the test process and anyone.
	flows := []flow.Flow{
		between(workload("worker"), external("api.stripe.com", "203.0.113.9"), 443),
		between(flow.Endpoint{Kind: flow.Anyone}, workload("orders-db"), 9187),
		between(workload("gateway"), workload("orders-db"), 9187),
		between(at("2001:db8::7"), workload("orders-db"), 5432),
		between(workload("worker"), workload("orders-db"), 5432),
		query(5432), query(5432),
	}
	scope := shop
	scope.Subjects = append([]policy.Subject{shop.Subjects[1]}, shop.Subjects...)
	const want = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  egress:
  - ports:
    - port: 5432
      protocol: TCP
    to:
    - podSelector:
        matchLabels:
          app: orders-db
  - ports:
    - port: 53
      protocol: TCP
    - port: 53
      protocol: UDP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: orders-db
spec:
  ingress:
  - from:
    - podSelector:
        matchLabels:
          app: checkout
    ports:
    - port: 5432
      protocol: TCP
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: jobs
      podSelector:
        matchLabels:
          tier: back
    ports:
    - port: 5432
      protocol: TCP
  - from:
    - ipBlock:
        cidr: 2001:db8::7/128
    ports:
    - port: 5432
      protocol: TCP
  - ports:
    - port: 9187
      protocol: TCP
  podSelector:
    matchLabels:
      app: orders-db
  policyTypes:
  - Egress
  - Ingress
`
	var texts []string
	for _, p := range (Dialect{scope}).Generate(flows) {
		texts = append(texts, toYAML(t, p))
	}
	if len(texts) != 3 || !strings.Contains(texts[2], "name: worker\n  namespace: jobs\n") ||
		strings.Contains(texts[2], "Ingress") {
		t.Errorf("want three policies, and the last of worker, for egress only; got\n%s", strings.Join(texts, "---\n"))
	}
	if diff := cmp.Diff(want, strings.Join(texts[:2], "---\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNotIsolated_NamesSubjectsAndDirections(t *testing.T) {
	const denyAll = "metadata: {name: %}\nspec: {podSelector: {%}, policyTypes: [Egress]}"
	named := func(name, labels string) string {
		return strings.Replace(strings.Replace(denyAll, "%", name, 1), "%", labels, 1)
	}
	flows := []flow.Flow{query(5432)}
	ping := query(0)
	ping.Protocol = flow.ICMP
	const selected = ": policy checkout selects app=checkout, the pods have "
	for _, row := range []struct {
		reason, policies string
		flows            []flow.Flow
		want             []string
	}{
		{"none for any subject", named("cart", "matchLabels: {app: cart}"), nil, []string{
			"no policy isolates checkout for egress: policy cart selects app=cart, the pods have app=checkout",
			"no policy isolates orders-db for egress: policy cart selects app=cart, the pods have app=orders-db",
			"no policy isolates worker for egress: policy cart selects app=cart, the pods have run=7,tier=back",
		}},
		{"a policy for all pods is one for every subject", named("all", ""), nil, nil},
		{"and not for ingress, where a container was called", named("all", ""), flows,
			[]string{"no policy isolates orders-db for ingress: policy all is not of the type Ingress"}},
		{"who was only pinged is no server", named("all", ""), []flow.Flow{ping}, nil},
		{
			"nor does anybody know who calls the test process",
			named("all", ""),
			[]flow.Flow{between(workload("worker"), workload("checkout"), 80)},
			nil,
		},
		{"every subject, by namespace and name", named("checkout", "matchLabels: {app: checkout}"), flows, []string{
			"no policy isolates orders-db for egress" + selected + "app=orders-db",
			"no policy isolates orders-db for ingress" + selected + "app=orders-db",
			"no policy isolates worker for egress" + selected + "run=7,tier=back",
		}},
	} {
		if diff := cmp.Diff(row.want, (Dialect{shop}).NotIsolated(parse(t, row.policies), row.flows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
		if got, want := (Dialect{shop}).Protects(parse(
			t, row.policies,
		)), !strings.Contains(row.policies, "cart"); got != want {
			t.Errorf("%s: protects is %v", row.reason, got)
		}
	}
}

func TestForeign_PoliciesWithoutSubject(t *testing.T) {
	policies := parse(t, both+"  - {}\n\n---\nmetadata: {name: cart}\nspec: {podSelector: {matchLabels: {app: cart}}}"+
		"\n---\nmetadata: {name: jobs, namespace: jobs}\nspec: {podSelector: {matchLabels: {run: '7'}}}"+
		"\n---\nmetadata: {name: other, namespace: other}\nspec: {podSelector: {matchLabels: {tier: back}}}")
	var got []string
	for _, p := range (Dialect{shop}).Foreign(policies) {
		got = append(got, p.Name)
	}
	if diff := cmp.Diff([]string{"cart", "other"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	merged := Dialect{shop}.Merge(policies, []flow.Flow{query(5432)})
	if diff := cmp.Diff(policies[2:], merged[2:len(policies)]); diff != "" {
		t.Errorf("Merge changed what is not its own (-want +got):\n%s", diff)
	}
}

func TestUnused_NamesDirection(t *testing.T) {
	const fromTwo = "  - {from: [{podSelector: {matchLabels: {app: checkout}}}, " +
		"{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 5432}, {port: 9187}]}\n  - {}\n"
	for _, row := range []struct {
		reason, policies string
		flows            []flow.Flow
		want             []string
	}{
		{"what one end needs, the other does too", both + fromTwo, []flow.Flow{query(5432)},
			[]string{"policy orders-db: ingress rule 0: peer pods app=cart", "policy orders-db: ingress rule 0: port 9187/TCP"}},
		{"no caller", both + fromTwo, nil, []string{
			"policy checkout: egress rule 0 (pods app=orders-db)",
			"policy orders-db: ingress rule 0 (pods app=checkout, pods app=cart)", "policy orders-db: ingress rule 1 (anywhere)",
		}},
		{
			"who calls the test process is not known",
			"metadata: {name: all}\nspec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}",
			nil, nil,
		},
		{
			"what one of its subjects needs, a policy needs",
			"metadata: {name: all}\nspec: {podSelector: {}, policyTypes: [Egress], " +
				"egress: [{to: [{podSelector: {matchLabels: {app: orders-db}}}]}]}",
			[]flow.Flow{query(5432)}, nil,
		},
		{"a policy without subject is unrelated", strings.ReplaceAll(client, "checkout", "cart"), nil, nil},
	} {
		if diff := cmp.Diff(row.want, (Dialect{shop}).Unused(parse(t, row.policies), row.flows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// One policy cannot be the own policy of two workloads: each workload that it does not protect gets another.
func TestScope_WorkloadsWithOneName(t *testing.T) {
	scope := policy.Scope{
		Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "cache", Namespace: "shop"}, AllTraffic: true},
			{
				Workload:   policy.Workload{Name: "cache", Namespace: "data", Labels: map[string]string{"app": "redis"}},
				AllTraffic: true,
			},
		},
	}
	call := []flow.Flow{
		between(workload("checkout"), workloadIn("data", "cache"), 6379),
		between(workload("checkout"), workloadIn("shop", "cache"), 6380),
	}
	committed := parse(
		t,
		"metadata: {name: cache}\nspec: {podSelector: {matchLabels: {app: cache}}, policyTypes: [Egress, Ingress], "+
			"ingress: [{}]}",
	)
	merged := Dialect{scope}.Merge(committed, call)
	if diff := cmp.Diff(append(committed, (Dialect{scope}).Generate(call)[0]), merged); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lines := (Dialect{scope}).NotIsolated(merged, call); len(lines) > 0 {
		t.Errorf("not isolated: %q", lines)
	}
}

func TestScope_ReplicasAreOneWorkload(t *testing.T) {
	labels := map[string]string{"tier": "data"}
	want := policy.Scope{
		Subjects: []policy.Subject{{Workload: policy.Workload{Name: "orders-db", Labels: labels}, AllTraffic: true}},
	}
	got := policy.Scope{
		Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "orders-db"}, AllTraffic: false},
			{Workload: policy.Workload{Name: "orders-db", Labels: labels}, AllTraffic: true},
		},
	}
	calls := []flow.Flow{query(5432)}
	if diff := cmp.Diff(Dialect{want}.Generate(calls), (Dialect{got}).Generate(calls)); diff != "" {
		t.Errorf("(-one +two replicas):\n%s", diff)
	}
}
