package networkpolicy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestMerge_RandomPoliciesAreTrue merges random flows into policies that were generated from other flows and then
// edited. NETZERO_TEST_SEED repeats a failure with the printed seed.
func TestMerge_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(200) {
		r := policytest.New(seed, i)
		subject := r.Workload()
		c := mergeClaims{
			t: t, subject: subject, flows: from(subject, r.Flows()...),
			origin: fmt.Sprintf("case %d of seed %d", i, seed),
		}
		before := append(from(subject, r.Flows()...), c.flows[r.IntN(len(c.flows)+1):]...)
		c.committed, c.edits = edited(r, t, c.subject, before)
		c.merged = c.merge(c.committed, c.flows)
		c.allowFlows()
		c.keepNothingUnused()
		c.denyNeighbours()
		c.keepWhatIsOthers()
		c.changeNothingTwice()
		c.ignoreOrder(r)
		c.startLikeGenerate()
		if t.Failed() {
			return
		}
	}
}

// mergeClaims are the properties of merged policies.
type mergeClaims struct {
	t                 *testing.T
	subject           policy.Workload
	flows             []flow.Flow
	committed, merged []*networkingv1.NetworkPolicy
	edits             []string
	origin            string
}

func (c mergeClaims) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s, edits %q: %s", c.origin, c.edits, fmt.Sprintf(format, args...))
	for _, p := range c.committed {
		c.t.Logf("committed:\n%s", toYAML(c.t, p))
	}
	for _, p := range c.merged {
		c.t.Logf("merged:\n%s", toYAML(c.t, p))
	}
}

// merge checks that Merge does not change its input, and that later writes to its result do not either.
func (c mergeClaims) merge(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []*networkingv1.NetworkPolicy {
	policies, seen := policytest.Clone(committed), slices.Clone(flows)
	merged := Dialect{alone(c.subject)}.Merge(committed, flows)
	kept := policytest.Clone(merged)
	for _, p := range merged {
		p.Spec.PolicyTypes = nil
		for i := range p.Spec.Egress {
			for j := range p.Spec.Egress[i].Ports {
				p.Spec.Egress[i].Ports[j].Protocol = nil
			}
		}
		for key := range p.Annotations {
			p.Annotations[key] = "changed"
		}
	}
	if !cmp.Equal(policies, committed) || !cmp.Equal(seen, flows, sameAddr) {
		c.errorf("the input is changed:\n%s", cmp.Diff(policies, committed))
	}
	return kept
}

func (c mergeClaims) own(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	m := merging{policies: policies, scope: Dialect{alone(c.subject)}}
	if own := m.own(c.subject); own != nil {
		return []*networkingv1.NetworkPolicy{own}
	}
	return nil
}

func (c mergeClaims) allowFlows() {
	for _, f := range (Dialect{}).Required(c.flows) {
		v := Dialect{alone(c.subject)}.Evaluate(c.merged, f)
		if v.Outcome != policy.Allowed {
			c.errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
		}
	}
	for _, p := range c.merged {
		if err := Validate(p); err != nil {
			c.errorf("%v", err)
		}
	}
}

func (c mergeClaims) keepNothingUnused() {
	if unused := (Dialect{alone(c.subject)}).Unused(c.own(c.merged), c.flows); len(unused) > 0 {
		c.errorf("unused: %q", unused)
	}
}

// denyNeighbours checks that a merged policy allows only what a committed policy or the generated one allows.
func (c mergeClaims) denyNeighbours() {
	committed, generated := policytest.Clone(c.committed), Dialect{alone(c.subject)}.Generate(c.flows)
	if own := c.own(committed); own != nil {
		generated[0].Namespace = own[0].Namespace
		if isolated, _ := isolates(c.own(c.merged), c.subject, policy.Egress); isolated {
			isolate(own[0], c.subject, policy.Egress) // its rules were not in force, but they are a person's
		}
	}
	for _, f := range (Dialect{}).Required(c.flows) {
		for difference, n := range neighbours(f) {
			if c.opened(n, generated) || c.opened(n, committed) || c.checksNoName(n) {
				continue
			}
			if v := (Dialect{alone(c.subject)}).Evaluate(c.merged, n); v.Outcome == policy.Allowed {
				c.errorf("%s is needed, with %s it is %s, which policy %s allows: %s",
					f.Target(), difference, n.Target(), v.Policy, v.Reason)
			}
		}
	}
}

// opened reports whether policies allow a flow, or would allow it: by a listed name without a rule for its port, or
// by a rule that matches everything but the name.
func (c mergeClaims) opened(n flow.Flow, policies []*networkingv1.NetworkPolicy) bool {
	if (Dialect{alone(c.subject)}).Evaluate(policies, n).Outcome == policy.Allowed {
		return true
	}
	for _, v := range (Dialect{alone(c.subject)}).applicablePolicies(c.own(policies), c.subject, policy.Egress) {
		if slices.ContainsFunc(v.names, func(name policy.AllowedName) bool { return name.Matches(n) }) {
			return true
		}
		isNamed := slices.ContainsFunc(c.flows, func(f flow.Flow) bool { return nameOf(f) == nameOf(n) })
		open := v.DeepCopy()
		delete(open.Annotations, policy.NamesAnnotation)
		if isNamed && (Dialect{alone(c.subject)}).Evaluate([]*networkingv1.NetworkPolicy{open}, n).Outcome == policy.Allowed {
			return true
		}
	}
	return false
}

// checksNoName reports whether the subject's policy still lists no names. A port of the internet or of an address
// that is open to any flow is then open to every name.
func (c mergeClaims) checksNoName(n flow.Flow) bool {
	for _, v := range (Dialect{alone(c.subject)}).applicablePolicies(c.own(c.merged), c.subject, policy.Egress) {
		opensInternet := slices.ContainsFunc(v.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return slices.ContainsFunc(elements(rule.To), isInternet)
		})
		return !v.annotated && (n.Destination.Kind == flow.External || opensInternet && n.Destination.Kind == flow.Address)
	}
	return false
}

func (c mergeClaims) keepWhatIsOthers() {
	for i, p := range c.committed {
		if own := c.own(c.committed); (own == nil || own[0] != p) && !cmp.Equal(p, c.merged[i]) {
			c.errorf("policy %s is not the subject's, and changed", p.Name)
		}
	}
	isolated, _ := isolates(c.committed, c.subject, policy.Egress)
	denied := slices.ContainsFunc((Dialect{}).Required(c.flows), func(f flow.Flow) bool {
		return Dialect{alone(c.subject)}.Evaluate(c.committed, f).Outcome == policy.Denied
	})
	withoutMetadata := func(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
		policies = policytest.Clone(policies)
		for _, p := range policies {
			delete(p.Annotations, policy.MetadataAnnotation) // informative only: Unused does not list it
		}
		return policies
	}
	if isolated && !denied && len(Dialect{alone(c.subject)}.Unused(c.own(c.committed), c.flows)) == 0 &&
		!cmp.Equal(withoutMetadata(c.committed), withoutMetadata(c.merged), cmpopts.EquateEmpty()) {
		c.errorf("nothing had to be changed")
	}
}

func (c mergeClaims) changeNothingTwice() {
	if diff := cmp.Diff(c.merged, c.merge(c.merged, c.flows)); diff != "" {
		c.errorf("the second time it changes (-first +second):\n%s", diff)
	}
}

func (c mergeClaims) ignoreOrder(r policytest.Draw) {
	shuffled := slices.Clone(c.flows)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(c.merged, c.merge(c.committed, shuffled)); diff != "" {
		c.errorf("another order, another policy (-want +got):\n%s", diff)
	}
}

func (c mergeClaims) startLikeGenerate() {
	if diff := cmp.Diff(Dialect{alone(c.subject)}.Generate(c.flows), c.merge(nil, c.flows)); diff != "" {
		c.errorf("merged into nothing (-generated +merged):\n%s", diff)
	}
}
