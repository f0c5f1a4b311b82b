package ciliumpolicy

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

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
		c := Dialect{scope}
		evaluated := withNeighbours(c.Required(slices.Concat(flows, others)))
		edited := r.AddCilium(r.EditCilium(c.Generate(flows)))
		several := slices.Concat(c.Generate(others), edited)
		for what, policies := range map[string]Policies{
			"generated": c.Generate(flows), "edited": edited, "several": several,
			"annotated": policytest.EditAnnotations(r, several),
			"merged":    c.Merge(edited, others), "none": nil,
		} {
			evaluate := c.Evaluator(policies)
			for _, f := range evaluated {
				want := c.Evaluate(policies, f)
				covered.Add(scope, f, want, c.inexpressibleKind(f) != "")
				if diff := gocmp.Diff(want, evaluate(f)); diff != "" {
					t.Fatalf("case %d, %s: %s, %+v (-one by one +all):\n%s\n%s",
						i, what, arrow(f), f, diff, policytest.ToYAMLs(t, policies))
				}
			}
			required := c.Required(flows)
			compareUsage(t, c, policies, required)
			normal, stripped := Dialect{c.Normalized()}, policy.WithoutLookups(policies, shallow)
			by := normal.BySubject(required)
			for _, p := range policies {
				policytest.Lookups{
					Scope: normal.Scope, Subjects: normal.listedBy(p)(policy.Egress), Flows: required,
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
func compareUsage(t *testing.T, c Dialect, policies Policies, flows []flow.Flow) {
	t.Helper()
	c = Dialect{c.Normalized()}
	for _, p := range policies {
		for _, d := range policy.Directions {
			for _, subject := range c.isolatedBy(p, d) {
				own := c.needed(d, c.perRequest(c.BySubject(flows).Of(subject.Workload, d)))
				v := c.applicablePolicies(Policies{p}, subject.Workload, d)[0]
				var want []policy.Usage
				for _, r := range v.rules {
					used := policy.Usage{
						Rule:  r.isEmpty(),
						Peers: make([]bool, len(r.peers())),
						Ports: make([]bool, len(r.AllowedPorts())),
						HTTP:  make([]bool, r.countHTTP(len(r.Ports))),
					}
					for _, f := range own {
						for peer, port := range r.pairs() {
							if !v.match(r, peer, port, f).Allows() {
								continue
							}
							used.Rule = true
							if peer >= 0 {
								used.Peers[peer] = true
							}
							if port >= 0 {
								used.Ports[port] = true
							}
							_, ref := r.pair(peer, port)
							if ref.http == nil {
								continue
							}
							for i, rule := range ref.http.HTTP {
								for _, request := range f.Requests {
									if allowsRequest(rule, request) {
										used.HTTP[r.countHTTP(ref.entry)+i] = true
									}
								}
							}
						}
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
