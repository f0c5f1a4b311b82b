package ciliumpolicy

import (
	"errors"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
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
		c := Dialect{scope}
		policies := r.AddCilium(r.EditCilium(c.Generate(r.DeployedFlows(scope))))
		policies = addReach(r, policytest.EditAnnotations(r, policies))
		evaluated := Dialect{scope.Normalized().Indexed()}
		for _, subject := range evaluated.Subjects {
			reach, err := c.Reach(policies, subject.Workload)
			if err != nil {
				var limit *policy.NotEnforceableError
				if !errors.As(err, &limit) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			verdict := evaluated.compile(partsOf(policies), subject.Workload, policy.Egress).verdict
			policytest.Reach{
				Reach: reach, Subject: subject.Workload, Scope: scope, Node: true,
				Denies: slices.ContainsFunc(partsOf(policies), func(p *cilium.NetworkPolicy) bool {
					return len(p.Spec.EgressDeny) > 0
				}),
				Verdict: func(f flow.Flow) policy.Verdict { return verdict(evaluated.byAddress(f)) },
			}.Check(t, r, covered)
			if t.Failed() {
				t.Fatalf("case %d, subject %s:\n%s", i, subject.Name, policytest.ToYAMLs(t, policies))
			}
		}
	}
	covered.Check(t)
	t.Logf("%d not enforceable, %v", refused, covered)
}

// addReach returns the policies with names, ranges and entities that only people write.
func addReach(r policytest.Draw, policies Policies) Policies {
	for _, p := range policies {
		for range r.IntN(3) {
			p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
				ToFQDNs: []cilium.FQDN{drawFQDN(r)}, ToPorts: drawPorts(r),
			})
		}
		for range r.IntN(3) {
			rule := policytest.Pick(r,
				cilium.EgressRule{ToCIDRSet: []cilium.CIDRRule{{CIDR: "10.0.0.0/8", Except: []string{"10.9.0.0/16"}}}},
				cilium.EgressRule{ToCIDR: []string{"203.0.113.9/32", "10.9.0.0/31"}},
				cilium.EgressRule{ToEntities: []string{cilium.RemoteNode}},
				cilium.EgressRule{ToEntities: []string{cilium.Host}},
				cilium.EgressRule{ToEntities: []string{cilium.Cluster}},
				cilium.EgressRule{ToEntities: []string{cilium.World}},
			)
			rule.ToPorts = drawPorts(r)
			p.Spec.Egress = append(p.Spec.Egress, rule)
		}
		if r.IntN(3) == 0 {
			p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
				ICMPs: []cilium.ICMPRule{{Fields: []cilium.ICMPField{{Family: cilium.IPv6, Type: intstr.FromInt32(139)}}}},
			})
		}
	}
	return policies
}

func drawFQDN(r policytest.Draw) cilium.FQDN {
	return policytest.Pick(r,
		cilium.FQDN{MatchName: "API.stripe.com."}, cilium.FQDN{MatchPattern: "*.corp.example"},
		cilium.FQDN{MatchPattern: "**.corp.example"}, cilium.FQDN{MatchPattern: "*"},
		cilium.FQDN{MatchName: "www.api.stripe.com"},
	)
}

func drawPorts(r policytest.Draw) []cilium.PortRule {
	ports := policytest.Pick(r, nil,
		[]cilium.Port{{Port: "443", Protocol: "TCP"}},
		[]cilium.Port{{Port: "80", EndPort: 5432}, {Port: "pgsql", Protocol: "TCP"}},
		[]cilium.Port{{Port: "0", Protocol: "UDP"}},
	)
	if ports == nil {
		return nil
	}
	rule := cilium.PortRule{Ports: ports}
	if r.IntN(3) == 0 {
		rule.Rules = &cilium.L7Rules{DNS: []cilium.FQDN{drawFQDN(r)}}
	}
	return []cilium.PortRule{rule}
}
