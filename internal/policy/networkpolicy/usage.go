package networkpolicy

import (
	"iter"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/index"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// isolatedBy returns the subjects that a policy isolates in a direction.
func (d Dialect) isolatedBy(p *networkingv1.NetworkPolicy, direction policy.Direction) []policy.Subject {
	return d.SubjectsWhere(func(w policy.Workload) bool { return doesNotIsolate(p, w, direction) == "" })
}

// listedBy returns the subjects that a policy's list of a direction applies to: for egress those that the policy
// isolates, for ingress all that it selects.
func (d Dialect) listedBy(p *networkingv1.NetworkPolicy) func(policy.Direction) []policy.Subject {
	return func(direction policy.Direction) []policy.Subject {
		if direction == policy.Egress {
			return d.isolatedBy(p, direction)
		}
		return d.SubjectsWhere(func(w policy.Workload) bool { return doesNotSelect(p, w) == "" })
	}
}

// usage returns the parts of each rule of a policy that the flows needed. It returns nil if these cannot be known:
// for a policy that isolates no subject, and for ingress if it isolates a subject with unknown callers.
func (d Dialect) usage(
	p *networkingv1.NetworkPolicy, direction policy.Direction, flows policy.SubjectFlows,
) []policy.Usage {
	return policy.UsageBy(d.isolatedBy(p, direction), direction, func(subject policy.Workload) []policy.Usage {
		v := d.applicablePolicies([]*networkingv1.NetworkPolicy{p}, subject, direction)[0]
		return v.usage(policy.Needed(direction, flows.Of(subject, direction)))
	})
}

// usage returns the parts of each rule that a subject's flows needed.
func (v applicable) usage(flows []flow.Flow) []policy.Usage {
	all := slices.Grow([]policy.Usage(nil), len(v.rules)) // nil without rules
	for _, r := range v.rules {
		all = append(all, policy.Usage{Peers: make([]bool, len(r.Peers)), Ports: make([]bool, len(r.Ports))})
	}
	c := v.compile()
	internets := make(map[int]bool) // the rules with a used half of the internet
	for _, f := range flows {
		for at := range c.allowing(f) {
			v, peer, port := c.pair(at)
			if !v.match(peer, port, f).Allows() {
				continue
			}
			used := &all[at.Rule]
			used.Rule = true
			if at.Peer >= 0 {
				used.Peers[at.Peer] = true
			}
			if at.Port >= 0 {
				used.Ports[at.Port] = true
			}
			if isInternet(peer) {
				internets[at.Rule] = true
			}
		}
	}
	for i := range internets {
		for j := range v.rules[i].Peers {
			all[i].Peers[j] = all[i].Peers[j] || isInternet(&v.rules[i].Peers[j])
		}
	}
	return all
}

// allowing returns pairs that include all that allow a flow.
func (c *compiled) allowing(f flow.Flow) iter.Seq[index.Pair] {
	if !needsEveryRule(c.direction, f) {
		return c.index.Allowing(c.spec(f))
	}
	return func(yield func(index.Pair) bool) {
		for i, v := range c.applicable {
			for j, r := range v.rules {
				for peer := range max(1, len(r.Peers)) {
					for port := range max(1, len(r.Ports)) {
						if !yield(index.Pair{
							PeerAt: index.PeerAt{RuleAt: index.RuleAt{Policy: i, Rule: j}, Peer: min(peer, len(r.Peers)-1)},
							Port:   min(port, len(r.Ports)-1),
						}) {
							return
						}
					}
				}
			}
		}
	}
}
