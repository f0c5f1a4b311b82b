package networkpolicy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// inBoth is the part of a dialect that a test of the annotations uses.
type inBoth[P metav1.Object] struct {
	generate func(...flow.Flow) []P
	merge    func([]P, ...flow.Flow) []P
	extend   func([]P, ...flow.Flow) []P
	evaluate func([]P, flow.Flow) policy.Verdict
	unused   func([]P, ...flow.Flow) []string
	unite    func(...[]P) ([]P, error)
	validate func(P) error
}

func kubernetesOf(s policy.Scope) inBoth[*networkingv1.NetworkPolicy] {
	return inBoth[*networkingv1.NetworkPolicy]{
		func(f ...flow.Flow) kubernetesPolicies { return Dialect{s}.Generate(f) },
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies { return Dialect{s}.Merge(p, f) },
		func(p kubernetesPolicies, f ...flow.Flow) kubernetesPolicies { return Dialect{s}.Extend(p, f) },
		Dialect{s}.Evaluate, func(p kubernetesPolicies, f ...flow.Flow) []string { return Dialect{s}.Unused(p, f) }, Unite, Validate,
	}
}

func list[P metav1.Object](policies []P, annotation string) string {
	return policies[0].GetAnnotations()[annotation]
}

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
	for _, entry := range []string{"icmp-echo " + name + "n.n", "icmp-echo n" + name + "." + namespace + policy.ServiceSuffix} {
		if _, err := policy.ParseOther(policy.Egress, entry); err == nil {
			t.Errorf("%d bytes are read", len(entry))
		}
	}
}

func TestOtherFlows_PingsFold(t *testing.T) {
	scope := alone(checkout)
	scope.Fold = []string{"shard-*.db.example"}
	in := kubernetesOf(scope)
	committed := kubernetesOf(alone(checkout)).generate(ping(external("shard-1.db.example", "203.0.113.9")))
	flows := []flow.Flow{ping(external("shard-1.db.example", "203.0.113.9")), ping(external("shard-2.db.example", "203.0.113.9"))}
	const want = "icmp-echo shard-*.db.example"
	for _, policies := range []kubernetesPolicies{in.generate(flows...), in.merge(committed, flows...), in.extend(committed, flows[0])} {
		if got := list(policies, policy.OtherAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
}

// For a ping between two workloads with policies, the source's list decides. If the source has no policy, the
// destination's list decides.
func TestOtherFlows_PingDecidedAtDestination(t *testing.T) {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: checkout}, {Workload: policy.Workload{Name: "db"}, AllTraffic: true}}}
	own := ping(workload("db"))
	in := kubernetesOf(scope)
	policies := in.generate(own)
	if v := in.evaluate(policies, own); v.Outcome != policy.Allowed || list(policies, policy.OtherAnnotation) != "icmp-echo db" || policies[1].Annotations != nil {
		t.Errorf("%s: %s; db lists %v", v.Outcome, v.Reason, policies[1].Annotations)
	}
	policies[0].Annotations = nil
	if v := in.evaluate(policies, own); v.Outcome != policy.Denied || v.Policy != "checkout" {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	driver := own
	driver.Source = flow.Endpoint{Kind: flow.Anyone}
	if v := in.evaluate(policies, driver); v.Outcome != policy.Denied || v.Policy != "db" || !strings.Contains(v.Reason, "icmp-echo anywhere is not in the annotation netzero.dev/ingress-other") {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	merged := in.merge(policies, driver)
	if got := merged[1].Annotations[policy.OtherIngressAnnotation]; got != "icmp-echo anywhere" || HasType(merged[1], policy.Ingress) {
		t.Errorf("db lists %q, and is of the types %v", got, merged[1].Spec.PolicyTypes)
	}
	if v := in.evaluate(merged, driver); v.Outcome != policy.Allowed {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
	if diff := cmp.Diff(in.generate(driver), merged); diff != "" {
		t.Errorf("(-generated +merged):\n%s", diff)
	}
	if unused := in.unused(merged); len(unused) != 1 || !strings.Contains(unused[0], "ingress-other: icmp-echo anywhere") {
		t.Errorf("unused: %q", unused)
	}
	if got := in.merge(merged); len(got[1].Annotations) > 0 {
		t.Errorf("db still lists %v", got[1].Annotations)
	}
}
