package conformance

import (
	"math/rand/v2"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestCilium_GeneratedPolicies is TestCyclonus_GeneratedPolicies for Cilium's dialect, in which rules
// allow names. In Cilium, a rule for a single address also allows flows that looked up a name, and the resolver's port
// is open for each protocol.
func TestCilium_GeneratedPolicies(t *testing.T) {
	t.Parallel()
	seed := policytest.Seed(t)
	allowed, denied := 0, 0
	for i := range uint64(200) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope, flows := r.recorded()
		c := ciliumpolicy.Dialect{Scope: scope}
		flows = c.Required(flows)
		policies, what := c.Generate(flows), newSeen(scope, flows, true)
		theirs := newSimulator(t, policies)
		check := func(f flow.Flow, difference string) {
			want, v := what.permits(f, false), c.Evaluate(policies, f)
			// Unprotected: no flow to it was recorded.
			ours := v.Outcome == policy.Allowed || v.Outcome == policy.Unprotected
			asked, has := toCyclonus(scope, f)
			same := !has || ours == theirs.allows(cluster{}, asked) || f.Destination.Kind == flow.External && !ours
			if ours != want || !same {
				t.Errorf("case %d of seed %d: %s -> %s, %s: %s (%s), want allowed: %v; Cilium says the same: %v",
					i, seed, f.Source, f.Target(), difference, v.Outcome, v.Reason, want, same)
			}
			if ours {
				allowed++
			} else {
				denied++
			}
		}
		for _, f := range flows {
			check(f, "as it was recorded")
			for difference, n := range neighbours(f) {
				isDNS := n.Destination.Kind == flow.Resolver && n.Port == 53
				if !isDNS && (what.isSubject(n.Source) || what.isServer(n.Destination)) {
					check(n, difference)
				}
			}
		}
		if t.Failed() {
			for _, p := range policies {
				t.Logf("%s", toYAML(t, p))
			}
			return
		}
	}
	t.Logf("%d flows allowed, %d denied", allowed, denied)
	if allowed < 500 || denied < 500 {
		t.Error("too few to mean anything")
	}
}
