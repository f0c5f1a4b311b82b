package networkpolicy

import (
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestEvaluator_SameAsEvaluate compares whole verdicts of random policies: generated, edited, annotated and merged.
// It evaluates the flows that need them, other flows, their neighbours, and flows that annotations decide.
func TestEvaluator_SameAsEvaluate(t *testing.T) {
	seed := policytest.Seed(t)
	covered := policytest.NewCoverage()
	for i := range uint64(30) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		flows, others := r.FlowsIn(scope), r.FlowsIn(scope)
		for range 4 {
			if len(scope.Subjects) > 0 {
				flows, others = append(flows, r.ListedFlow(scope)), append(others, r.ListedFlow(scope))
			}
		}
		d := Dialect{scope}
		evaluated := withNeighbours((Dialect{}).Required(slices.Concat(flows, others)))
		edited, _ := r.Edit(d.Generate(flows))
		more, _ := r.Edit(d.Generate(others))
		for _, p := range more {
			p.Name += "-more"
		}
		several := slices.Concat(edited, more)
		for what, policies := range map[string][]*networkingv1.NetworkPolicy{
			"generated": d.Generate(flows), "edited": edited, "several": several,
			"annotated": policytest.EditAnnotations(r, several),
			"merged":    d.Merge(several, others), "none": nil,
		} {
			evaluate := d.Evaluator(policies)
			for _, f := range evaluated {
				want := d.Evaluate(policies, f)
				covered.Add(scope, f, want, d.inexpressibleKind(f) != "")
				if diff := gocmp.Diff(want, evaluate(f)); diff != "" {
					t.Fatalf("case %d, %s: %s, %+v (-one by one +all):\n%s\n%s",
						i, what, arrow(f), f, diff, policytest.ToYAMLs(t, policies))
				}
			}
			required := (Dialect{}).Required(flows)
			compareUsage(t, scope, policies, required)
			normal, stripped := Dialect{scope.Normalized()}, policy.WithoutLookups(policies, shallow)
			by := normal.BySubject(required)
			for _, p := range policies {
				policytest.Lookups{
					Scope: normal.Scope, Subjects: normal.isolatedBy(p, policy.Egress), Flows: required,
					Unmet: func(w policy.Workload) []flow.Flow { return normal.unmetLookups(policies, w, by) },
					WithoutLookups: func(w policy.Workload, f flow.Flow) policy.Verdict {
						return normal.EvaluateEnd(stripped, w, policy.Egress, f)
					},
				}.Check(t, p)
			}
		}
	}
	covered.Check(t)
}

// compareUsage compares the usage of rules with the result of matching each pair with each flow.
func compareUsage(t *testing.T, scope policy.Scope, policies []*networkingv1.NetworkPolicy, flows []flow.Flow) {
	t.Helper()
	scope = scope.Normalized()
	for _, p := range policies {
		for _, d := range policy.Directions {
			for _, subject := range (Dialect{scope}).isolatedBy(p, d) {
				own := policy.Needed(d, scope.BySubject(flows).Of(subject.Workload, d))
				v := Dialect{scope}.applicablePolicies([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0]
				var want []policy.Usage
				for _, rule := range v.rules {
					used := policy.Usage{Peers: make([]bool, len(rule.Peers)), Ports: make([]bool, len(rule.Ports))}
					usesInternet := false
					for _, f := range own {
						for i, peer := range elements(rule.Peers) {
							for j, port := range elements(rule.Ports) {
								if !v.match(peer, port, f).Allows() {
									continue
								}
								used.Rule = true
								if peer != nil {
									used.Peers[i] = true
								}
								if port != nil {
									used.Ports[j] = true
								}
								usesInternet = usesInternet || isInternet(peer)
							}
						}
					}
					for i := range rule.Peers {
						used.Peers[i] = used.Peers[i] || usesInternet && isInternet(&rule.Peers[i])
					}
					want = append(want, used)
				}
				if diff := gocmp.Diff(want, v.usage(own), gocmp.AllowUnexported(policy.Usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAML(t, p))
				}
			}
		}
	}
}

// A lookup is allowed by the rule with the port at which its name is listed, even if that is not the rule's first
// port.
func TestEvaluator_FindsRuleOfLookup(t *testing.T) {
	scope := alone(checkout)
	a, b := external("a.example", "203.0.113.9"), external("b.example", "203.0.113.10")
	policies := Dialect{scope}.Generate(from(checkout, toPort(a, flow.TCP, 80), toPort(b, flow.TCP, 443)))
	b.Addr = netip.Addr{}
	f := from(checkout, flow.Flow{Destination: b, Lookup: true})[0]
	want := Dialect{scope}.Evaluate(policies, f)
	diff := gocmp.Diff(want, (Dialect{scope}).Evaluator(policies)(f))
	if diff != "" || want.Outcome != policy.Allowed || want.Rule < 0 {
		t.Errorf("%+v (-one by one +all):\n%s", want, diff)
	}
}
