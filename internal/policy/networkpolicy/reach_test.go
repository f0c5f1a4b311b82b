package networkpolicy

import (
	"errors"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestReach_SameAsEvaluate compares what random policies let workloads reach with verdicts.
func TestReach_SameAsEvaluate(t *testing.T) {
	seed := policytest.Seed(t)
	covered := make(policytest.ReachCoverage)
	refused := 0
	for i := range uint64(30) {
		r := policytest.New(seed, i)
		scope := r.DeployedScope()
		for j := range scope.Subjects {
			scope.Subjects[j].Ports = []policy.Port{{Name: "pgsql", Number: 5432, Protocol: flow.TCP}}
		}
		d := Dialect{scope}
		edited, _ := r.Edit(d.Generate(r.DeployedFlows(scope)))
		policies := addBlocks(r, policytest.EditAnnotations(r, edited))
		for _, subject := range scope.Normalized().Subjects {
			reach, err := d.Reach(policies, subject.Workload)
			if err != nil {
				var limit *policy.NotEnforceableError
				if !errors.As(err, &limit) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			evaluated := Dialect{scope.Normalized().Indexed()}
			verdict := evaluated.compile(policies, subject.Workload, policy.Egress).verdict
			policytest.Reach{
				Reach: reach, Subject: subject.Workload, Scope: scope,
				Verdict: func(f flow.Flow) policy.Verdict { return verdict(evaluated.ByAddress(f)) },
			}.Check(t, r, covered)
			if t.Failed() {
				t.Fatalf("case %d, subject %s:\n%s", i, subject.Name, policytest.ToYAMLs(t, policies))
			}
		}
	}
	covered.Check(t)
	t.Logf("%d not enforceable, %v", refused, covered)
}

// addBlocks returns the policies with ranges and ports that only people write.
func addBlocks(r policytest.Draw, policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	for _, p := range policies {
		if r.IntN(2) == 0 {
			continue
		}
		for range r.IntN(4) {
			var rule networkingv1.NetworkPolicyEgressRule
			for range r.IntN(3) {
				rule.To = append(rule.To, drawPeer(r))
			}
			for range r.IntN(3) {
				rule.Ports = append(rule.Ports, drawPort(r))
			}
			p.Spec.Egress = append(p.Spec.Egress, rule)
		}
	}
	return policies
}

func drawPeer(r policytest.Draw) networkingv1.NetworkPolicyPeer {
	return policytest.Pick(r,
		networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.9.0.0/16"}}},
		networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.9.0.0/31"}},
		networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "203.0.113.9/32"}},
		networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}},
		networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "2001:db8::/32", Except: []string{"2001:db8:1::/48"}}},
		networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}}},
	)
}

func drawPort(r policytest.Draw) networkingv1.NetworkPolicyPort {
	number := func(n int) *intstr.IntOrString { v := intstr.FromInt(n); return &v }
	name, end := intstr.FromString("pgsql"), int32(5432)
	return policytest.Pick(r,
		networkingv1.NetworkPolicyPort{},
		networkingv1.NetworkPolicyPort{Port: number(443)},
		networkingv1.NetworkPolicyPort{Port: number(80), EndPort: &end},
		networkingv1.NetworkPolicyPort{Port: &name},
	)
}
