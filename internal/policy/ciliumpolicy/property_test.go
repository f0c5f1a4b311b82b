package ciliumpolicy

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestCilium_RandomPoliciesAreTrue compares random flows with the policies generated from them, and with those policies
// after manual edits and after merges of other flows.
func TestCilium_RandomPoliciesAreTrue(t *testing.T) {
	seed := policytest.Seed(t)
	for i := range uint64(80) {
		r := newDraw(seed, i)
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
			if diff := cmp.Diff(toYAMLs(t, want), toYAMLs(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
				t.Logf("want:\n%s\ngot:\n%s", toYAMLs(t, want), toYAMLs(t, got))
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

func toYAMLs(t *testing.T, policies Policies) []string {
	t.Helper()
	var texts []string
	for _, p := range policies {
		texts = append(texts, toYAML(t, p))
	}
	return texts
}

// editCilium returns policies after random manual edits.
func (r draw) editCilium(policies Policies) Policies {
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), pick(r, policy.Directions...)
		p := policies[i].DeepCopy()
		policies[i] = p
		rules := RulesOf(p, d)
		if len(rules) == 0 {
			continue
		}
		k := r.IntN(len(rules))
		switch r.IntN(10) {
		case 0:
			slices.Reverse(rules)
		case 1:
			rules[k].Ports = nil
		case 2:
			if len(rules[k].AllowedPorts()) > 0 {
				rules[k].Endpoints, rules[k].Names, rules[k].Cidrs, rules[k].Entities = nil, nil, nil, nil
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
			rules = append(rules, Rule{})
		case 8: // look-ups that Cilium reads
			for j := range rules[k].Ports {
				if rules[k].Ports[j].HasDNS() {
					rules[k].Ports[j].Rules = nil
				}
			}
		case 9:
			for j := range rules[k].Ports {
				if rules[k].Ports[j].HasDNS() {
					rules[k].Ports[j].Rules.DNS[0] = cilium.FQDN{MatchPattern: "*.nobody.example"}
				}
			}
		}
		SetRules(p, d, rules)
	}
	return policies
}

// neighbours returns the flows that differ from a flow in a single property, by the name of the property.
func neighbours(f flow.Flow) map[string]flow.Flow {
	if !f.Protocol.HasPorts() {
		return nil
	}
	all := make(map[string]flow.Flow)
	vary := func(difference string, change func(*flow.Flow)) {
		n := f
		change(&n)
		all[difference] = n
	}
	vary("the next port", func(n *flow.Flow) { n.Port++ })
	for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
		vary("another protocol: "+p.String(), func(n *flow.Flow) { n.Protocol = p })
	}
	switch f.Destination.Kind {
	case flow.Workload:
		vary("another namespace", func(n *flow.Flow) { n.Destination.Namespace = "elsewhere" })
		vary("another name", func(n *flow.Flow) { n.Destination.Name += "-2" })
		vary("an address", func(n *flow.Flow) { n.Destination = at("203.0.113.77") })
	case flow.External:
		vary("another name", func(n *flow.Flow) { n.Destination.Name = "x" + n.Destination.Name })
		switch addr := f.Destination.Addr; {
		case !flow.Public(addr):
			vary("the next address", func(n *flow.Flow) { n.Destination.Addr = addr.Next() })
		case addr.IsValid(): // a private address has a rule that flows without a name match too
			vary("no name", func(n *flow.Flow) { n.Destination = flow.Endpoint{Kind: flow.Address, Addr: addr} })
		}
	case flow.Address:
		vary("the next address", func(n *flow.Flow) { n.Destination.Addr = n.Destination.Addr.Next() })
	}
	return all
}
