package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

type kubernetesPolicies = []*networkingv1.NetworkPolicy

// uniting is the common part of both dialects for one test of unions.
type uniting[P any] struct {
	generate func([]flow.Flow) []P
	edit     func([]P) []P
	unite    func(...[]P) ([]P, error)
	side     func([]P, policy.Workload, policy.Direction, flow.Flow) policy.Verdict
	yaml     func([]P) []string
}

// TestUnite_RandomPolicies unites policies of random flows, with edits, in both dialects.
func TestUnite_RandomPolicies(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(20) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		before, after := r.FlowsIn(scope), r.FlowsIn(scope)
		checkUnion(t, scope, before, after, uniting[*networkingv1.NetworkPolicy]{
			networkpolicy.Dialect{Scope: scope}.Generate,
			func(p kubernetesPolicies) kubernetesPolicies { p, _ = r.Edit(p); return p },
			networkpolicy.Unite, networkpolicy.Dialect{Scope: scope.Normalized()}.EvaluateEnd,
			func(p kubernetesPolicies) (all []string) {
				for _, p := range p {
					all = append(all, toYAML(t, p))
				}
				return all
			},
		})
		c := ciliumpolicy.Dialect{Scope: scope}
		checkUnion(t, scope, before, after, uniting[*cilium.NetworkPolicy]{
			c.Generate, r.EditCilium, ciliumpolicy.Unite, ciliumpolicy.Dialect{Scope: c.Normalized()}.EvaluateEnd,
			func(p ciliumpolicy.Policies) []string { return policytest.ToYAMLs(t, p) },
		})
		if t.Failed() {
			t.Logf("case %d of seed %d", i, seed)
			return
		}
	}
}

func checkUnion[P any](t *testing.T, scope policy.Scope, before, after []flow.Flow, u uniting[P]) {
	t.Helper()
	united := func(sets ...[]P) []P {
		t.Helper()
		p, err := u.unite(sets...)
		if err != nil {
			t.Errorf("unite: %v", err)
		}
		return p
	}
	same := func(what string, want, got []P) {
		t.Helper()
		if diff := cmp.Diff(u.yaml(want), u.yaml(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	a, b := u.generate(before), u.generate(after)
	same("generated of both", united(u.generate(slices.Concat(before, after))), united(a, b))
	same("in another order", united(a, b), united(b, a))
	same("with a part of itself", united(a, b), united(b, united(a, b), a))

	a, b = u.edit(a), u.edit(b)
	whole, err := u.unite(a, b)
	if err != nil {
		return
	}
	same("edited, in another order", whole, united(b, a))
	same("edited, of itself", whole, united(whole))
	var evaluated []flow.Flow
	for _, f := range (networkpolicy.Dialect{}).Required(slices.Concat(before, after)) {
		evaluated = append(evaluated, f)
		for _, n := range neighbours(f) {
			if len(evaluated) < 120 {
				evaluated = append(evaluated, n, reversed(n))
			}
		}
	}
	for _, subject := range scope.Normalized().Subjects {
		for _, d := range policy.Directions {
			for _, f := range scope.Normalized().BySubject(evaluated).Of(subject.Workload, d) {
				v := u.side(a, subject.Workload, d, f)
				w := u.side(b, subject.Workload, d, f)
				both := u.side(whole, subject.Workload, d, f)
				allowed := v.Outcome == policy.Allowed || w.Outcome == policy.Allowed
				switch {
				case both.Outcome == policy.Allowed && (v.Outcome == policy.Unprotected || w.Outcome == policy.Unprotected):
				case allowed == (both.Outcome == policy.Allowed):
				case both.Outcome == policy.Allowed && strings.Contains(v.Reason+w.Reason, "never matches"):
					// The other part lets Cilium read the lookup, for all policies of the pods.
				case allowed && f.Destination.Kind == flow.External && d == policy.Egress &&
					!flow.Public(policy.EndpointAddress(f.Destination)):
					// As in Generate: the address of one name does not allow other names.
				default:
					t.Errorf("%s of %s: %s is %s (%s) and %s (%s), in the union %s (%s)",
						d, subject.Name, arrow(f), v.Outcome, v.Reason, w.Outcome, w.Reason, both.Outcome, both.Reason)
					t.Logf("of:\n%s\nand:\n%s\nunion:\n%s",
						strings.Join(u.yaml(a), "---\n"), strings.Join(u.yaml(b), "---\n"), strings.Join(u.yaml(whole), "---\n"))
					return
				}
			}
		}
	}
}
