package networkpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The name of a workload may be as long as a host name, and its namespace follows it.
func TestOtherFlows_LongNamesOfOtherNamespaces(t *testing.T) {
	name, namespace := strings.Repeat("n", 63)+strings.Repeat(".n", 95), strings.Repeat("s", 63)
	f := ping(workloadIn(namespace, name))
	scope := alone(checkout)
	scope.Peers = []policy.Workload{{Name: name, Namespace: namespace, Labels: map[string]string{"app": "long"}}}
	policies := Dialect{scope}.Generate([]flow.Flow{f})
	if err := Validate(policies[0]); err != nil {
		t.Error(err)
	}
	if v := (Dialect{scope}).Evaluate(policies, f); v.Outcome != policy.Allowed {
		t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
	}
	for _, entry := range []string{
		"icmp-echo " + name + "n.n",
		"icmp-echo n" + name + "." + namespace + policy.ServiceSuffix,
	} {
		if _, err := policy.ParseOther(policy.Egress, entry); err == nil {
			t.Errorf("%d bytes are read", len(entry))
		}
	}
}

func TestOtherFlows_PingsFold(t *testing.T) {
	scope := alone(checkout)
	scope.Fold = []string{"shard-*.db.example"}
	d := Dialect{scope}
	flows := []flow.Flow{
		ping(external("shard-1.db.example", "203.0.113.9")),
		ping(external("shard-2.db.example", "203.0.113.9")),
	}
	committed := Dialect{alone(checkout)}.Generate(flows[:1])
	const want = "icmp-echo shard-*.db.example"
	for _, policies := range [][]*networkingv1.NetworkPolicy{
		d.Generate(flows), d.Merge(committed, flows), d.Extend(committed, flows[:1]),
	} {
		if got := policies[0].Annotations[policy.OtherAnnotation]; got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
}

// For a ping between two workloads with policies, the source's list decides. If the source has no policy, the
// destination's list decides.
func TestOtherFlows_PingDecidedAtDestination(t *testing.T) {
	scope := policy.Scope{
		Subjects: []policy.Subject{{Workload: checkout}, {Workload: policy.Workload{Name: "db"}, AllTraffic: true}},
	}
	own := ping(workload("db"))
	d := Dialect{scope}
	policies := d.Generate([]flow.Flow{own})
	if v := d.Evaluate(policies, own); v.Outcome != policy.Allowed {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	if got := policies[0].Annotations[policy.OtherAnnotation]; got != "icmp-echo db" || policies[1].Annotations != nil {
		t.Errorf("checkout lists %q, and db %v", got, policies[1].Annotations)
	}
	policies[0].Annotations = nil
	if v := d.Evaluate(policies, own); v.Outcome != policy.Denied || v.Policy != "checkout" {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	driver := own
	driver.Source = flow.Endpoint{Kind: flow.Anyone}
	const reason = "icmp-echo anywhere is not in the annotation netzero.dev/ingress-other"
	v := d.Evaluate(policies, driver)
	if v.Outcome != policy.Denied || v.Policy != "db" || !strings.Contains(v.Reason, reason) {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	merged := d.Merge(policies, []flow.Flow{driver})
	got := merged[1].Annotations[policy.OtherIngressAnnotation]
	if got != "icmp-echo anywhere" || HasType(merged[1], policy.Ingress) {
		t.Errorf("db lists %q, and is of the types %v", got, merged[1].Spec.PolicyTypes)
	}
	if v := d.Evaluate(merged, driver); v.Outcome != policy.Allowed {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	if diff := cmp.Diff(d.Generate([]flow.Flow{driver}), merged); diff != "" {
		t.Errorf("(-generated +merged):\n%s", diff)
	}
	unused := d.Unused(merged, nil)
	if len(unused) != 1 || !strings.Contains(unused[0], "ingress-other: icmp-echo anywhere") {
		t.Errorf("unused: %q", unused)
	}
	if got := d.Merge(merged, nil); len(got[1].Annotations) > 0 {
		t.Errorf("db still lists %v", got[1].Annotations)
	}
}
