package ciliumpolicy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// TestCilium_RandomPoliciesAreTrue compares random flows with the policies generated from them, and with those policies
// after manual edits and after merges of other flows.
func TestCilium_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(80) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		c := Dialect{scope}
		flows := r.FlowsIn(scope)
		policies := c.Generate(flows)
		check := func(what string, policies Policies) {
			t.Helper()
			for _, f := range c.Required(flows) {
				if v := c.Evaluate(policies, f); v.Outcome == policy.Denied && !strings.Contains(v.Reason, "Deny rule") {
					t.Errorf("%s: %s is %s: %s", what, arrow(f), v.Outcome, v.Reason)
				}
			}
			for _, p := range policies {
				if err := cilium.Validate(p); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		same := func(what string, want, got Policies) {
			t.Helper()
			if diff := cmp.Diff(policytest.ToYAMLs(t, want), policytest.ToYAMLs(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
				t.Logf("want:\n%s\ngot:\n%s", policytest.ToYAMLs(t, want), policytest.ToYAMLs(t, got))
			}
		}
		check("generated", policies)
		for _, f := range flows {
			other := f
			if other.ICMPType = 15; f.Protocol.IsICMP() && c.Evaluate(policies, other).Outcome == policy.Allowed {
				t.Errorf("%s was not seen, and is allowed", arrow(other))
			}
		}
		if unused := c.Unused(policies, flows); len(unused) > 0 {
			t.Errorf("generated: unused: %q", unused)
		}
		if lines := c.NotIsolated(policies, flows); len(lines) > 0 {
			t.Errorf("generated: %q", lines)
		}
		shuffled := slices.Clone(flows)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		same("in another order", policies, c.Generate(shuffled))
		same("merged into nothing", policies, c.Merge(nil, flows))
		same("merged again", policies, c.Merge(policies, flows))

		edited := r.AddCilium(r.EditCilium(c.Generate(r.FlowsIn(scope))))
		before := policytest.ToYAMLs(t, edited)
		merged := c.Merge(edited, flows)
		check("merged", merged)
		check("extended", c.Extend(edited, flows))
		same("merged twice", merged, c.Merge(merged, flows))
		if diff := cmp.Diff(before, policytest.ToYAMLs(t, edited)); diff != "" {
			t.Errorf("merging changed what was given:\n%s", diff)
		}
		if lines := c.NotIsolated(merged, flows); len(lines) > 0 {
			t.Errorf("merged: %q", lines)
		}
		if t.Failed() {
			t.Logf("case %d of seed %d, %+v", i, seed, scope)
			for _, p := range policytest.ToYAMLs(t, edited) {
				t.Log("edited:\n" + p)
			}
			for _, p := range policytest.ToYAMLs(t, merged) {
				t.Log("merged:\n" + p)
			}
			return
		}
	}
}
