package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// usage is what flows needed of a rule: it at all, and which of its peers and ports, by their index.
type usage struct {
	rule         bool
	peers, ports []bool
}

// isolatedBy returns the subjects that a policy isolates in a direction.
func (s Scope) isolatedBy(p *networkingv1.NetworkPolicy, d direction) []Subject {
	return s.whom(func(w Workload) bool { return passesOver(p, w, d) == "" })
}

// listedBy returns the subjects for which a policy's list of a direction counts: those that it isolates for egress, and
// for ingress all that it selects.
func (s Scope) listedBy(p *networkingv1.NetworkPolicy) func(direction) []Subject {
	return func(d direction) []Subject {
		if d == egress {
			return s.isolatedBy(p, d)
		}
		return s.whom(func(w Workload) bool { return overlooks(p, w) == "" })
	}
}

// whom returns the subjects of which something holds.
func (s Scope) whom(holds func(Workload) bool) []Subject {
	var subjects []Subject
	for _, subject := range s.Subjects {
		if holds(subject.Workload) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// ofAll returns the flows that any of the subjects has in a direction.
func (s Scope) ofAll(subjects []Subject, d direction, flows []flow.Flow) []flow.Flow {
	var all []flow.Flow
	for _, subject := range subjects {
		all = append(all, s.of(subject.Workload, d, flows)...)
	}
	return all
}

// usage returns what the flows needed of each rule of a policy. It is nil where that cannot be known: for a policy that
// isolates no subject, and for ingress one that isolates a subject whose callers are not known.
func (s Scope) usage(p *networkingv1.NetworkPolicy, d direction, flows []flow.Flow) []usage {
	return usageBy(s.isolatedBy(p, d), d, func(subject Workload) []usage {
		v := s.views([]*networkingv1.NetworkPolicy{p}, subject, d)[0]
		return v.usage(needed(d, s.of(subject, d, flows)))
	})
}

// usageBy adds up what the flows of each of a policy's subjects needed of its rules.
func usageBy(subjects []Subject, d direction, of func(Workload) []usage) []usage {
	if d == ingress && slices.ContainsFunc(subjects, func(subject Subject) bool { return !subject.Whole }) {
		return nil
	}
	var all []usage
	for i, subject := range subjects {
		each := of(subject.Workload)
		if i == 0 {
			all = each
			continue
		}
		for j, used := range each {
			all[j].add(used)
		}
	}
	return all
}

func (u *usage) add(other usage) {
	u.rule = u.rule || other.rule
	for i, used := range other.peers {
		u.peers[i] = u.peers[i] || used
	}
	for i, used := range other.ports {
		u.ports[i] = u.ports[i] || used
	}
}

// usage returns what a subject's flows needed of each rule.
func (v view) usage(flows []flow.Flow) []usage {
	var all []usage
	for _, r := range v.rules {
		all = append(all, usage{peers: make([]bool, len(r.peers)), ports: make([]bool, len(r.ports))})
	}
	c := v.compile()
	internets := make(map[int]bool) // rules of which flows used a half of the internet
	for _, f := range flows {
		for _, at := range c.allowing(f) {
			v, peer, port := c.pair(at)
			if !v.match(peer, port, f).allows() {
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
			if isInternet(peer) {
				internets[at.rule] = true
			}
		}
	}
	for i := range internets {
		for j := range v.rules[i].peers {
			all[i].peers[j] = all[i].peers[j] || isInternet(&v.rules[i].peers[j])
		}
	}
	return all
}

// allowing returns pairs, among which are all that allow a flow.
func (c *side) allowing(f flow.Flow) []pairAt {
	if !needsEveryRule(c.direction, f) {
		return c.index.allowing(c.spec(f))
	}
	var all []pairAt
	for i, v := range c.views {
		for j, r := range v.rules {
			for peer := range max(1, len(r.peers)) {
				for port := range max(1, len(r.ports)) {
					all = append(all, pairAt{peerAt{ruleAt{i, j}, min(peer, len(r.peers)-1)}, min(port, len(r.ports)-1)})
				}
			}
		}
	}
	return all
}
