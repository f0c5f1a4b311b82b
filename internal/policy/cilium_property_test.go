package policy

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// TestBothDialectsMeanTheSame writes random flows as policies of both dialects and compares what they do to the flows
// and to their neighbours. They differ in what one has no words for, and in nothing else; differs lists it.
func TestBothDialectsMeanTheSame(t *testing.T) {
	seed := testSeed(t)
	compared, allowed := 0, 0
	for i := range uint64(80) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope := r.scope()
		flows := slices.DeleteFunc(r.flowsIn(scope), isPing) // of which one dialect has no words, not even for what they imply
		other := Cilium{scope}
		kubernetes, ciliums := scope.Generate(flows), other.Generate(flows)
		for _, p := range ciliums {
			if err := cilium.Validate(p); err != nil {
				t.Errorf("case %d: %v", i, err)
			}
		}
		asked := slices.Clone(other.Required(flows))
		for _, f := range other.Required(flows) {
			for _, n := range neighbours(f) {
				asked = append(asked, n)
			}
			for _, n := range neighbours(reversed(f)) {
				asked = append(asked, reversed(n))
			}
		}
		for _, f := range asked {
			want, got := scope.Evaluate(kubernetes, f), other.Evaluate(ciliums, f)
			if differs(flows, f, want, got) {
				continue
			}
			compared++
			if got.Outcome == Allowed {
				allowed++
			}
			if want.Outcome != got.Outcome {
				t.Errorf("case %d: %s is %s (%s), in Cilium %s (%s)", i, arrow(f), want.Outcome, want.Reason, got.Outcome, got.Reason)
				for _, p := range kubernetes {
					t.Logf("%s", toYAML(t, p))
				}
				for _, p := range ciliums {
					t.Logf("%s", toYAML(t, p))
				}
				return
			}
		}
	}
	if compared < 1000 || allowed < 100 || allowed > compared/2 {
		t.Errorf("%d flows compared, of which %d are allowed: too few of a kind to mean anything", compared, allowed)
	}
}

// differs reports whether the dialects mean to differ about a flow.
func differs(recorded []flow.Flow, f flow.Flow, want, got Verdict) bool {
	inside := slices.ContainsFunc(recorded, func(g flow.Flow) bool {
		return g.Destination.Kind == flow.External && nameOf(g) == nameOf(f) && !flow.Public(address(g.Destination))
	})
	switch {
	case f.Destination.Kind == flow.Resolver && f.Port == resolverPort && f.Protocol == flow.SCTP:
		return true // of the protocol ANY, as Cilium's own rules for DNS are
	case inside && want.Outcome == Denied && got.Outcome == Allowed:
		return true // a NetworkPolicy asks for each address that a name has inside, a name in Cilium is all of them
	}
	return false
}

// TestCiliumPoliciesAreTrue holds random flows against what is generated from them, and against what that becomes when
// people edit it and other flows are merged into it.
func TestCiliumPoliciesAreTrue(t *testing.T) {
	seed := testSeed(t)
	for i := range uint64(80) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		scope := r.scope()
		c := Cilium{scope}
		flows := r.flowsIn(scope)
		policies := c.Generate(flows)
		check := func(what string, policies ciliumPolicies) {
			t.Helper()
			for _, f := range c.Required(flows) {
				if v := c.Evaluate(policies, f); v.Outcome == Denied {
					t.Errorf("%s: %s is %s: %s", what, arrow(f), v.Outcome, v.Reason)
				}
			}
			for _, p := range policies {
				if err := cilium.Validate(p); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		same := func(what string, want, got ciliumPolicies) {
			t.Helper()
			if diff := cmp.Diff(toYAMLs(t, want), toYAMLs(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
				t.Logf("want:\n%s\ngot:\n%s", toYAMLs(t, want), toYAMLs(t, got))
			}
		}
		check("generated", policies)
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

		edited := r.editCilium(c.Generate(r.flowsIn(scope)))
		before := toYAMLs(t, edited)
		merged := c.Merge(edited, flows)
		check("merged", merged)
		check("extended", c.Extend(edited, flows))
		same("merged twice", merged, c.Merge(merged, flows))
		if diff := cmp.Diff(before, toYAMLs(t, edited)); diff != "" {
			t.Errorf("merging changed what was given:\n%s", diff)
		}
		if lines := c.NotIsolated(merged, flows); len(lines) > 0 {
			t.Errorf("merged: %q", lines)
		}
		if t.Failed() {
			t.Logf("case %d of seed %d, %+v", i, seed, scope)
			for _, p := range toYAMLs(t, edited) {
				t.Log("edited:\n" + p)
			}
			for _, p := range toYAMLs(t, merged) {
				t.Log("merged:\n" + p)
			}
			return
		}
	}
}

func toYAMLs(t *testing.T, policies ciliumPolicies) []string {
	t.Helper()
	var texts []string
	for _, p := range policies {
		texts = append(texts, toYAML(t, p))
	}
	return texts
}

// editCilium returns policies as somebody may have left them.
func (r draw) editCilium(policies ciliumPolicies) ciliumPolicies {
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), pick(r, directions...)
		p := policies[i].DeepCopy()
		policies[i] = p
		rules := ciliumRulesOf(p, d)
		if len(rules) == 0 {
			continue
		}
		k := r.IntN(len(rules))
		switch r.IntN(10) {
		case 0:
			slices.Reverse(rules)
		case 1:
			rules[k].ports = nil
		case 2:
			if len(rules[k].openTo()) > 0 {
				rules[k].endpoints, rules[k].names, rules[k].cidrs, rules[k].entities = nil, nil, nil, nil
			}
		case 3:
			rules = slices.Delete(rules, k, k+1)
		case 4:
			rules = append(rules, rules[k])
		case 5:
			p.Spec.EndpointSelector = metav1.LabelSelector{}
		case 6:
			p.Name = "by-hand-" + strconv.Itoa(i)
		case 7:
			rules = append(rules, ciliumRule{})
		case 8: // what Cilium reads of look-ups
			for j := range rules[k].ports {
				if rules[k].ports[j].HasDNS() {
					rules[k].ports[j].Rules = nil
				}
			}
		case 9:
			for j := range rules[k].ports {
				if rules[k].ports[j].HasDNS() {
					rules[k].ports[j].Rules.DNS[0] = cilium.FQDN{MatchPattern: "*.nobody.example"}
				}
			}
		}
		setCiliumRules(p, d, rules)
	}
	return policies
}
