package policy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/flow"
)

// askedOf returns flows, what they imply, and others that differ from one of them in one thing.
func askedOf(required []flow.Flow) []flow.Flow {
	asked := slices.Clone(required)
	for _, f := range required {
		for _, n := range neighbours(f) {
			asked = append(asked, n)
		}
		for _, n := range neighbours(reversed(f)) {
			asked = append(asked, reversed(n))
		}
	}
	return asked
}

// TestEvaluatorSaysWhatEvaluateDoes compares whole verdicts: of random policies, as they are generated, edited by people and
// merged, on flows that need them, on others, and on their neighbours.
func TestEvaluatorSaysWhatEvaluateDoes(t *testing.T) {
	seed := testSeed(t)
	outcomes := make(map[Outcome]int)
	for i := range uint64(60) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope := r.scope()
		flows, others := r.flowsIn(scope), r.flowsIn(scope)
		asked := askedOf(Required(slices.Concat(flows, others)))
		edited, _ := r.editAll(scope.Generate(flows))
		odd, _ := r.editAll(scope.Generate(others))
		for _, p := range odd {
			p.Name += "-more"
		}
		for what, policies := range map[string][]*networkingv1.NetworkPolicy{
			"generated": scope.Generate(flows), "edited": edited, "several": slices.Concat(edited, odd),
			"merged": scope.Merge(slices.Concat(edited, odd), others), "none": nil,
		} {
			evaluate := scope.Evaluator(policies)
			for _, f := range asked {
				want := scope.Evaluate(policies, f)
				outcomes[want.Outcome]++
				if diff := cmp.Diff(want, evaluate(f)); diff != "" {
					for _, p := range policies {
						t.Log(toYAML(t, p))
					}
					t.Fatalf("case %d, %s: %s, %+v (-one by one +all):\n%s", i, what, arrow(f), f, diff)
				}
			}
			compareUsage(t, scope, policies, Required(flows))
		}
		other := Cilium{scope}
		asked = askedOf(other.Required(slices.Concat(flows, others)))
		ciliums := r.writeCilium(r.editCilium(other.Generate(flows)))
		for what, policies := range map[string]ciliumPolicies{
			"generated": other.Generate(flows), "edited": ciliums, "several": slices.Concat(other.Generate(others), ciliums),
			"merged": other.Merge(ciliums, others), "none": nil,
		} {
			evaluate := other.Evaluator(policies)
			for _, f := range asked {
				want := other.Evaluate(policies, f)
				outcomes[want.Outcome]++
				if diff := cmp.Diff(want, evaluate(f)); diff != "" {
					t.Fatalf("case %d, Cilium, %s: %s, %+v (-one by one +all):\n%s\n%s", i, what, arrow(f), f, diff, toYAMLs(t, policies))
				}
			}
			compareCiliumUsage(t, other, policies, other.Required(flows))
		}
	}
	for _, outcome := range []Outcome{Denied, Allowed, Unprotected, Inexpressible} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing was %s", outcome)
		}
	}
}

// compareUsage holds what flows needed of rules against what asking each pair about each flow says.
func compareUsage(t *testing.T, scope Scope, policies []*networkingv1.NetworkPolicy, flows []flow.Flow) {
	t.Helper()
	scope = scope.normal()
	for _, p := range policies {
		for _, d := range directions {
			for _, subject := range scope.isolatedBy(p, d) {
				own := needed(d, scope.of(subject.Workload, d, flows))
				v := scope.views([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0]
				var want []usage
				for _, rule := range v.rules {
					used := usage{peers: make([]bool, len(rule.peers)), ports: make([]bool, len(rule.ports))}
					usesInternet := false
					for _, f := range own {
						for i, peer := range elements(rule.peers) {
							for j, port := range elements(rule.ports) {
								if !v.match(peer, port, f).allows() {
									continue
								}
								used.rule = true
								if peer != nil {
									used.peers[i] = true
								}
								if port != nil {
									used.ports[j] = true
								}
								usesInternet = usesInternet || isInternet(peer)
							}
						}
					}
					for i := range rule.peers {
						used.peers[i] = used.peers[i] || usesInternet && isInternet(&rule.peers[i])
					}
					want = append(want, used)
				}
				if diff := cmp.Diff(want, v.usage(own), cmp.AllowUnexported(usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAML(t, p))
				}
			}
		}
	}
}

func compareCiliumUsage(t *testing.T, c Cilium, policies ciliumPolicies, flows []flow.Flow) {
	t.Helper()
	c = c.normal()
	for _, p := range policies {
		for _, d := range directions {
			for _, subject := range c.isolatedBy(p, d) {
				own := needed(d, c.of(subject.Workload, d, flows))
				v := c.views(ciliumPolicies{p}, subject.Workload, d)[0]
				var want []usage
				for _, r := range v.rules {
					used := usage{rule: r.isEmpty(), peers: make([]bool, len(r.peers())), ports: make([]bool, len(r.openTo()))}
					for _, f := range own {
						for peer, port := range r.pairs() {
							if !v.match(r, peer, port, f).allows() {
								continue
							}
							used.rule = true
							if peer >= 0 {
								used.peers[peer] = true
							}
							if port >= 0 {
								used.ports[port] = true
							}
						}
					}
					want = append(want, used)
				}
				if diff := cmp.Diff(want, v.usage(own), cmp.AllowUnexported(usage{})); diff != "" {
					t.Fatalf("policy %s, %s, usage (-one by one +all):\n%s\n%s", p.Name, d, diff, toYAMLs(t, ciliumPolicies{p}))
				}
			}
		}
	}
}
