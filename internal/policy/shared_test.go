package policy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Tests that share a policy end in any order. Each adds the rules that it needs, and the last removes those that none
// needed. The result equals the policy that a single test with all flows would have written.
func TestShared_OrderDoesNotMatter(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(25) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		parts := [][]flow.Flow{r.FlowsIn(scope), r.FlowsIn(scope), r.FlowsIn(scope)}
		all := slices.Concat(parts...)
		// The flows of a test that was removed. Those from anyone are left out: Merge keeps a rule for anyone that
		// some caller needs, because a person may have chosen it.
		gone := slices.DeleteFunc(r.FlowsIn(scope), func(f flow.Flow) bool { return f.Source.Kind == flow.Anyone })
		c := ciliumpolicy.Dialect{Scope: scope}
		want, wantCilium := networkpolicy.Dialect{Scope: scope}.Generate(all), c.Generate(all)
		for range 3 {
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			got, gotCilium := networkpolicy.Dialect{Scope: scope}.Generate(gone), c.Generate(gone)
			for _, flows := range parts {
				got, gotCilium = networkpolicy.Dialect{Scope: scope}.Extend(got, flows), c.Extend(gotCilium, flows)
			}
			got, gotCilium = networkpolicy.Dialect{Scope: scope}.Merge(got, all), c.Merge(gotCilium, all)
			var texts, wantTexts []string
			for i := range got {
				texts, wantTexts = append(texts, toYAML(t, got[i])), append(wantTexts, toYAML(t, want[i]))
			}
			if diff := cmp.Diff(wantTexts, texts); diff != "" {
				t.Errorf("case %d of seed %d (-want +got):\n%s", i, seed, diff)
				return
			}
			// In a namespace, one peer has two names, with the namespace and without it.
			inNamespace := func(s policy.Subject) bool { return s.Namespace != "" }
			if slices.ContainsFunc(scope.Subjects, inNamespace) {
				continue
			}
			if diff := cmp.Diff(policytest.ToYAMLs(t, wantCilium), policytest.ToYAMLs(t, gotCilium)); diff != "" {
				t.Errorf("case %d of seed %d, in Cilium (-want +got):\n%s", i, seed, diff)
				return
			}
		}
	}
}
