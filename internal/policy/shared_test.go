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

// Tests that share a policy end in any order. Each adds what it needs, the last drops what none of them needed: what comes
// out is what one test of them all would have written.
func TestTheOrderOfTestsThatShareAPolicyDoesNotMatter(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(25) {
		r := newDraw(seed, i)
		scope := r.Scope()
		if len(scope.Subjects) == 0 {
			continue
		}
		parts := [][]flow.Flow{r.FlowsIn(scope), r.FlowsIn(scope), r.FlowsIn(scope)}
		all := slices.Concat(parts...)
		// Of a test that was removed. A rule for anyone stays where some callers need it: it may be somebody's choice.
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
			inNamespace := func(s policy.Subject) bool { return s.Namespace != "" } // there one peer has two names, with it and without
			if slices.ContainsFunc(scope.Subjects, inNamespace) {
				continue
			}
			if diff := cmp.Diff(toYAMLs(t, wantCilium), toYAMLs(t, gotCilium)); diff != "" {
				t.Errorf("case %d of seed %d, in Cilium (-want +got):\n%s", i, seed, diff)
				return
			}
		}
	}
}
