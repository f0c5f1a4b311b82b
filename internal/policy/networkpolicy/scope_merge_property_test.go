package networkpolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestMerge_RandomScopesAreTrue merges random flows among several workloads into policies that were generated
// from other flows and then edited. NETZERO_TEST_SEED repeats a failure with the printed seed.
func TestMerge_RandomScopesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(60) {
		r := policytest.New(seed, i)
		scope := r.Scope()
		before, flows := r.FlowsIn(scope), r.FlowsIn(scope)
		c := scopeMergeClaims{t: t, scope: scope, flows: flows, origin: fmt.Sprintf("case %d of seed %d", i, seed)}
		c.growAndShrink(before)
		c.committed, c.edits = r.Edit(Dialect{scope}.Generate(append(before, flows[r.IntN(len(flows)+1):]...)))
		c.merged = Dialect{scope}.Merge(c.committed, flows)
		c.allowFlows()
		c.denyCallersNearby()
		c.keepNothingUnused()
		c.keepWhatIsOthers()
		c.changeNothingTwice(r)
		if t.Failed() {
			return
		}
	}
}

// scopeMergeClaims are the properties of a scope's merged policies.
type scopeMergeClaims struct {
	t                 *testing.T
	scope             policy.Scope
	flows             []flow.Flow
	committed, merged []*networkingv1.NetworkPolicy
	edits             []string
	origin            string
}

func (c scopeMergeClaims) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s, edits %q: %s\nin %+v", c.origin, c.edits, fmt.Sprintf(format, args...), c.scope)
	for _, p := range c.committed {
		c.t.Logf("committed:\n%s", toYAML(c.t, p))
	}
	for _, p := range c.merged {
		c.t.Logf("merged:\n%s", toYAML(c.t, p))
	}
}

// growAndShrink merges into unedited policies: the result equals the output of Generate.
func (c scopeMergeClaims) growAndShrink(before []flow.Flow) {
	all := slices.Concat(before, c.flows)
	for _, step := range []struct {
		name      string
		committed []*networkingv1.NetworkPolicy
		flows     []flow.Flow
	}{
		{"from nothing", nil, all},
		{"more flows", Dialect{c.scope}.Generate(before), all},
		{"fewer flows", Dialect{c.scope}.Generate(all), c.flows},
		{"other flows", Dialect{c.scope}.Generate(before), c.flows},
	} {
		kept := policytest.Clone(step.committed)
		merged, want := Dialect{c.scope}.Merge(step.committed, step.flows), Dialect{c.scope}.Generate(step.flows)
		if diff := cmp.Diff(want, merged, cmpopts.EquateEmpty()); diff != "" {
			c.errorf("%s (-generated +merged):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(kept, step.committed); diff != "" {
			c.errorf("%s changed the committed policies (-want +got):\n%s", step.name, diff)
		}
	}
	extended := Dialect{c.scope}.Extend(Dialect{c.scope}.Generate(before), c.flows)
	for _, f := range (Dialect{}).Required(all) {
		if v := (Dialect{c.scope}).Evaluate(extended, f); v.Outcome == policy.Denied {
			c.errorf("extended, %s is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
	}
}

func (c scopeMergeClaims) allowFlows() {
	for _, f := range (Dialect{}).Required(c.flows) {
		if v := (Dialect{c.scope}).Evaluate(c.merged, f); v.Outcome == policy.Denied {
			c.errorf("%s is %s: %s", arrow(f), v.Outcome, v.Reason)
		}
	}
	if lines := (Dialect{c.scope}).NotIsolated(c.merged, c.flows); len(lines) > 0 {
		c.errorf("not isolated: %q", lines)
	}
	for _, p := range c.merged {
		if err := Validate(p); err != nil {
			c.errorf("%v", err)
		}
	}
}

// denyCallersNearby checks that merged policies allow only the ingress that a committed policy or the generated ones
// allow. It skips policies for all pods, where a rule that one pod needs applies to the others too.
func (c scopeMergeClaims) denyCallersNearby() {
	if slices.ContainsFunc(c.edits, func(edit string) bool { return strings.HasSuffix(edit, "all pods") }) {
		return
	}
	m := newMerging(Dialect{c.scope}, c.committed, nil)
	for _, s := range m.scope.Subjects {
		if own := m.own(s.Workload); own != nil {
			isolate(own, s.Workload, policy.Ingress) // its rules may not have been in force, but they are a person's
		}
	}
	// If the test process is isolated, its callers are allowed.
	whole := policy.Scope{Subjects: slices.Clone(c.scope.Subjects), Peers: c.scope.Peers, Fold: c.scope.Fold}
	for i := range whole.Subjects {
		whole.Subjects[i].AllTraffic = true
	}
	generated := Dialect{whole}.Generate(c.flows)
	allowed := func(policies []*networkingv1.NetworkPolicy, f flow.Flow) bool {
		subject, ok := m.scope.SubjectOf(f.Destination)
		return ok && m.scope.EvaluateEnd(policies, subject, policy.Ingress, f).Outcome == policy.Allowed
	}
	for _, f := range c.flows {
		for difference, n := range neighbours(reversed(f)) {
			n = reversed(n)
			if allowed(c.merged, n) && !allowed(generated, n) && !allowed(m.policies, n) {
				c.errorf("%s is needed, with %s it is %s, and allowed too", arrow(f), difference, arrow(n))
			}
		}
	}
}

// owns returns the subjects' own policies.
func (c scopeMergeClaims) owns(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	m := newMerging(Dialect{c.scope}, nil, nil)
	m.policies = policies
	var owns []*networkingv1.NetworkPolicy
	for _, s := range m.scope.Subjects {
		if own := m.own(s.Workload); own != nil && !slices.Contains(owns, own) {
			owns = append(owns, own)
		}
	}
	return owns
}

// keepNothingUnused checks the policies that isolate their own subjects. Others have no effect there and stay.
func (c scopeMergeClaims) keepNothingUnused() {
	m := newMerging(Dialect{c.scope}, nil, nil)
	m.policies = c.merged
	for _, s := range m.scope.Subjects {
		own := m.own(s.Workload)
		if own == nil || doesNotIsolate(own, s.Workload, policy.Egress) != "" ||
			doesNotIsolate(own, s.Workload, policy.Ingress) != "" && len(own.Spec.Ingress) > 0 {
			continue
		}
		if unused := (Dialect{c.scope}).Unused([]*networkingv1.NetworkPolicy{own}, c.flows); len(unused) > 0 {
			c.errorf("unused: %q", unused)
		}
	}
}

func (c scopeMergeClaims) keepWhatIsOthers() {
	owns := c.owns(c.committed)
	for i, p := range c.committed {
		if !slices.Contains(owns, p) && !cmp.Equal(p, c.merged[i]) {
			c.errorf("policy %s is no subject's, and changed", p.Name)
		}
	}
}

func (c scopeMergeClaims) changeNothingTwice(r policytest.Draw) {
	if diff := cmp.Diff(c.merged, (Dialect{c.scope}).Merge(c.merged, c.flows)); diff != "" {
		c.errorf("the second time it changes (-first +second):\n%s", diff)
	}
	shuffled := slices.Clone(c.flows)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(c.merged, (Dialect{c.scope}).Merge(c.committed, shuffled)); diff != "" {
		c.errorf("another order, another policy (-want +got):\n%s", diff)
	}
}
