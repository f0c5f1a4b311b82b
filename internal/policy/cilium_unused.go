package policy

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unused is [Scope.Unused]. The rule without fields, which is there so that its direction is denied by default, is never
// listed, and what a rule lets Cilium read of look-ups is not weighed.
func (c Cilium) Unused(policies ciliumPolicies, flows []flow.Flow) []string {
	c = Cilium{c.Scope.normal().indexed()}
	required := c.allByAddress(c.Required(flows))
	policies = partsOf(policies)
	var lines []string
	for _, p := range policies {
		for _, d := range directions {
			rules := ciliumRulesOf(p, d)
			for i, used := range c.usage(p, d, required) {
				lines = append(lines, c.unusedInRule(p, d, i, rules[i], used)...)
			}
		}
		lines = append(lines, describeUnusedNames(p, unusedLookups(c.Scope, p, c.listedBy(p)(egress), func(w Workload) []flow.Flow { return c.unmetLookups(policies, w, required) }))...)
		lines = append(lines, describeUnusedOthers(c.otherWords(), p, c.listedBy(p), required)...)
		if subjects := c.isolatedBy(p, egress); c.Binaries && len(subjects) > 0 {
			lines = append(lines, describeUnusedBinaries(p, c.binariesOf(subjects, required))...)
		}
	}
	return lines
}

func (c Cilium) unusedInRule(p *cilium.NetworkPolicy, d direction, i int, rule ciliumRule, used usage) []string {
	where := fmt.Sprintf("policy %s: %s %d", p.Name, c.ruleWord(d), i)
	if !used.rule {
		return []string{fmt.Sprintf("%s (%s)", where, describeCiliumPeers(d, rule))}
	}
	var lines []string
	for i, peer := range rule.peers() {
		if !used.peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describeCiliumPeer(d, peer)))
		}
	}
	for i, ref := range rule.openTo() {
		if !used.ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, describeOpen(ref)))
		}
	}
	return lines
}

// isolatedBy returns the subjects that a policy isolates in a direction.
func (c Cilium) isolatedBy(p *cilium.NetworkPolicy, d direction) []Subject {
	return c.whom(func(w Workload) bool { return ciliumPassesOver(p, w, d) == "" })
}

// listedBy returns the subjects for which a policy's lists count: all that it selects, as with its rules.
func (c Cilium) listedBy(p *cilium.NetworkPolicy) func(direction) []Subject {
	return func(direction) []Subject { return c.whom(func(w Workload) bool { return ciliumOverlooks(p, w) == "" }) }
}

// usage returns what the flows needed of each rule of a policy; it is nil as that of [Scope] is.
func (c Cilium) usage(p *cilium.NetworkPolicy, d direction, flows []flow.Flow) []usage {
	return usageBy(c.isolatedBy(p, d), d, func(subject Workload) []usage {
		v := c.views(ciliumPolicies{p}, subject, d)[0]
		// Another policy may be what lets Cilium read a look-up: a name is needed by whoever asks for it.
		v.lookups = []cilium.FQDN{{MatchPattern: "*"}}
		return v.usage(needed(d, c.of(subject, d, flows)))
	})
}

// usage returns what a subject's flows needed of each rule.
func (v ciliumView) usage(flows []flow.Flow) []usage {
	var all []usage
	for _, r := range v.rules {
		all = append(all, usage{rule: r.isEmpty(), peers: make([]bool, len(r.peers())), ports: make([]bool, len(r.openTo()))})
	}
	s := &ciliumSide{scope: v.scope, direction: v.direction, views: []ciliumView{v}}
	s.build()
	for _, f := range flows {
		for _, at := range s.allowing(f) {
			peer, port := s.allowed.pair(at)
			if !s.views[0].matchRefs(peer, port, f).allows() {
				continue
			}
			used := &all[at.rule]
			used.rule = true
			if at.peer >= 0 {
				used.peers[at.peer] = true
			}
			if at.port >= 0 {
				used.ports[at.port] = true
			}
		}
	}
	return all
}
