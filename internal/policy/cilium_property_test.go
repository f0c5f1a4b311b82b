package policy

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestBothDialectsMeanTheSame writes random flows as policies of both dialects and compares what they do to the flows
// and to their neighbours. They differ in what one has no words for, and in nothing else; differs lists it.
func TestBothDialectsMeanTheSame(t *testing.T) {
	seed := TestSeed(t)
	compared, allowed := 0, 0
	seen := make(map[string]bool) // of the endpoints of what was compared and allowed
	sorts := []string{
		"from a workload", "from external", "from an address", "from anyone", "to a workload", "to the node", "to the API server", "to the resolver",
		"to a folded name", "to external", "to external inside", "to an address", "to the metadata service",
	}
	unseen := func(sort string) bool { return !seen[sort] }
	for i := uint64(0); i < 80 || i < 2000 && slices.ContainsFunc(sorts, unseen); i++ { // some are rare
		r := newDraw(seed, i)
		scope := r.Scope()
		flows := slices.DeleteFunc(r.FlowsIn(scope), func(f flow.Flow) bool { return f.Protocol.IsICMP() }) // of which one dialect has no words, not even for what they imply
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
			if differs(scope, flows, f, want, got) {
				continue
			}
			compared++
			if got.Outcome == Allowed {
				allowed++
				seen["from "+sortOf(f.Source)], seen["to "+sortOf(f.Destination)] = true, true
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
	if missed := slices.DeleteFunc(sorts, func(sort string) bool { return seen[sort] }); len(missed) > 0 {
		t.Errorf("no flow was compared and allowed %q", missed)
	}
	if compared < 1000 || allowed < 100 || allowed > compared/2 {
		t.Errorf("%d flows compared, of which %d are allowed: too few of a kind to mean anything", compared, allowed)
	}
}

// sortOf says what an endpoint is to the dialects.
func sortOf(e flow.Endpoint) string {
	switch {
	case isNode(e):
		return "the node"
	case isAPIServer(e):
		return "the API server"
	case e.Kind == flow.Resolver:
		return "the resolver"
	case address(e) == flow.MetadataService:
		return "the metadata service"
	case e.Kind == flow.External && !flow.Public(address(e)):
		return "external inside"
	case e.Kind == flow.External && strings.HasPrefix(e.Name, "shard-"):
		return "a folded name" // by some of the scopes
	case e.Kind == flow.External, e.Kind == flow.Anyone:
		return e.Kind.String()
	case e.Kind == flow.Address:
		return "an address"
	}
	return "a workload"
}

// differs reports whether the dialects mean to differ about a flow.
func differs(s Scope, recorded []flow.Flow, f flow.Flow, want, got Verdict) bool {
	isInside := func(g flow.Flow) bool {
		return g.Destination.Kind == flow.External && !flow.Public(address(g.Destination))
	}
	inside := slices.ContainsFunc(recorded, func(g flow.Flow) bool {
		return (isInside(g) || isInside(f)) && s.entryOf(g) == s.entryOf(f)
	})
	unnamed := f.Destination.Kind == flow.Address && slices.ContainsFunc(recorded, func(g flow.Flow) bool {
		return isInside(g) && address(g.Destination) == address(f.Destination) && g.Port == f.Port && g.Protocol == f.Protocol
	})
	switch {
	case f.Destination.Kind == flow.Resolver && f.Port == resolverPort && f.Protocol == flow.SCTP:
		return true // of the protocol ANY, as Cilium's own rules for DNS are
	case inside && want.Outcome == Denied && got.Outcome == Allowed:
		return true // a NetworkPolicy asks for each address that a name has inside, a name in Cilium is all of them
	case isAPIServer(f.Destination) && f.Port == apiServerPort && want.Outcome == Denied && got.Outcome == Allowed:
		return true // it is open at 6443 where it was asked at 443, and there is no selector for what is behind its Service
	case isNode(f.Destination) && want.Outcome == Denied && got.Outcome == Allowed:
		return true // to Cilium all that runs on the node is one host
	case unnamed && want.Outcome == Allowed && got.Outcome == Denied:
		return true // who has no name for such an address passes the rule for it, of which Cilium has none
	}
	return false
}

// TestCiliumPoliciesAreTrue holds random flows against what is generated from them, and against what that becomes when
// people edit it and other flows are merged into it.
func TestCiliumPoliciesAreTrue(t *testing.T) {
	seed := TestSeed(t)
	for i := range uint64(80) {
		r := newDraw(seed, i)
		scope := r.Scope()
		c := Cilium{scope}
		flows := r.FlowsIn(scope)
		policies := c.Generate(flows)
		check := func(what string, policies ciliumPolicies) {
			t.Helper()
			for _, f := range c.Required(flows) {
				if v := c.Evaluate(policies, f); v.Outcome == Denied && !strings.Contains(v.Reason, "Deny rule") {
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
		for _, f := range flows {
			other := f
			if other.ICMPType = 15; f.Protocol.IsICMP() && c.Evaluate(policies, other).Outcome == Allowed {
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

		edited := r.writeCilium(r.editCilium(c.Generate(r.FlowsIn(scope))))
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
