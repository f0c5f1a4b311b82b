package policy_test

import (
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestUnite_EqualsBothApplied compares unions with both files applied to a cluster side by side: the deny rules
// of either are in force, and so is the isolation by either. NETZERO_TEST_SEED repeats a failure with the printed
// seed.
func TestUnite_EqualsBothApplied(t *testing.T) {
	seed := policytest.Seed(t)
	outcomes := make(map[policy.Outcome]int)
	for i := range uint64(30) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		before, after := r.FlowsIn(scope), r.FlowsIn(scope)
		evaluated := slices.Concat(before, after)
		for _, f := range (networkpolicy.Dialect{}).Required(evaluated) {
			for _, n := range neighbours(f) {
				evaluated = append(evaluated, n, reversed(n))
			}
		}
		edit := func(p kubernetesPolicies) kubernetesPolicies { p, _ = r.Edit(p); return p }
		k := networkpolicy.Dialect{Scope: scope}
		checkApplied(t, scope, evaluated, edit(k.Generate(before)), edit(k.Generate(after)), outcomes,
			networkpolicy.Unite, networkpolicy.Dialect{Scope: scope.Normalized()}.EvaluateEnd,
			func(p *networkingv1.NetworkPolicy) string { return toYAML(t, p) })
		c := ciliumpolicy.Dialect{Scope: scope}
		byHand := func(p ciliumpolicy.Policies) ciliumpolicy.Policies { return r.AddCilium(r.EditCilium(p)) }
		checkApplied(t, scope, evaluated, byHand(c.Generate(before)), byHand(c.Generate(after)), outcomes,
			ciliumpolicy.Unite, ciliumpolicy.Dialect{Scope: c.Normalized()}.EvaluateEnd,
			func(p *cilium.NetworkPolicy) string { return toYAML(t, p) })
		if t.Failed() {
			t.Logf("case %d of seed %d", i, seed)
			return
		}
	}
	for _, o := range []policy.Outcome{policy.Allowed, policy.Denied, policy.Unprotected} {
		if outcomes[o] < 30 {
			t.Errorf("%d flows were %s: too few to mean anything", outcomes[o], o)
		}
	}
}

func checkApplied[P any](
	t *testing.T, scope policy.Scope, evaluated []flow.Flow, a, b []P, outcomes map[policy.Outcome]int,
	unite func(...[]P) ([]P, error), side func([]P, policy.Workload, policy.Direction, flow.Flow) policy.Verdict,
	yaml func(P) string,
) {
	t.Helper()
	union, err := unite(a, b)
	if err != nil {
		return // the parts select different pods, for example
	}
	for _, subject := range scope.Normalized().Subjects {
		for _, d := range policy.Directions {
			for _, f := range scope.Normalized().BySubject(evaluated).Of(subject.Workload, d) {
				want, got := side(slices.Concat(a, b), subject.Workload, d, f), side(union, subject.Workload, d, f)
				outcomes[want.Outcome]++
				named := d == policy.Egress && f.Destination.Kind == flow.External
				switch {
				case want.Outcome == got.Outcome:
				case named && want.Outcome == policy.Allowed && strings.Contains(got.Reason, "is for an address without a name"):
					// As in Generate: the address of one name does not allow other names.
				case named && !flow.Public(policy.EndpointAddress(f.Destination)) && want.Outcome == policy.Allowed:
					// The same for a private address.
				default:
					t.Errorf("%s of %s: %s is %s (%s) with both, in the union %s (%s)",
						d, subject.Name, arrow(f), want.Outcome, want.Reason, got.Outcome, got.Reason)
					for what, policies := range map[string][]P{"one": a, "another": b, "union": union} {
						for _, p := range policies {
							t.Logf("%s:\n%s", what, yaml(p))
						}
					}
					return
				}
			}
		}
	}
}
