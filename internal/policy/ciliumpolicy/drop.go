package ciliumpolicy

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// drop removes from a subject's policy what no flow needs. A policy that has no effect on the subject stays.
func (m *merging) drop(subject policy.Workload) {
	for _, p := range m.ownParts(subject) {
		m.dropFrom(p, subject)
	}
}

func (m *merging) dropFrom(p *cilium.NetworkPolicy, subject policy.Workload) {
	for _, d := range policy.Directions {
		if doesNotIsolate(p, subject, d) == "" {
			m.dropRules(p, d)
		}
	}
	if doesNotIsolate(p, subject, policy.Egress) == "" {
		m.dropMetadata(p)
		policy.DropOthers(m.scope.otherWords(), p, m.scope.listedBy(p), m.flows)
		unused := policy.UnusedLookups(m.scope.Scope, p, m.scope.listedBy(p)(policy.Egress), func(w policy.Workload) []flow.Flow { return m.scope.unmetLookups(m.policies, w, m.flows) })
		policy.DropEntries(p, policy.NamesAnnotation, func(entry string) bool { return !slices.Contains(unused, entry) })
		if m.scope.Binaries {
			policy.DropBinaries(p, m.scope.binariesOf(m.scope.isolatedBy(p, policy.Egress), m.flows))
		}
	}
}

// dropRules removes rules, peers and ports. Egress without any left denies everything; so does ingress of a server, and
// of a policy that denied everything before. That of a subject which nobody was seen to call is open again, as it is in
// what Generate writes.
func (m *merging) dropRules(p *cilium.NetworkPolicy, d policy.Direction) {
	rules := RulesOf(p, d)
	usage := m.scope.usage(p, d, m.flows)
	if usage == nil {
		return
	}
	deniedAll := !slices.ContainsFunc(rules, func(r Rule) bool { return !r.isEmpty() })
	var kept []Rule
	for i, r := range rules {
		if used := usage[i]; used.Rule && !r.isEmpty() {
			kept = append(kept, r.keep(used))
		}
	}
	isServer := func(s policy.Subject) bool { return m.scope.IsolatesIngress(s, m.scope.serves(s.Workload, m.flows)) }
	if len(kept) == 0 && (d == policy.Egress || deniedAll || len(p.Spec.Egress) == 0 || slices.ContainsFunc(m.scope.isolatedBy(p, policy.Ingress), isServer)) {
		kept = []Rule{{}}
	}
	SetRules(p, d, kept)
}

// keep returns a rule with the peers and ports that are used; there is one of each, or none that was written.
func (r Rule) keep(used policy.Usage) Rule {
	peers, ports := used.Peers, used.Ports
	kept := r
	kept.Endpoints, peers = keepFirst(r.Endpoints, peers)
	kept.Names, peers = keepFirst(r.Names, peers)
	kept.Addresses, peers = keepFirst(r.Addresses, peers)
	kept.Cidrs, peers = keepFirst(r.Cidrs, peers)
	kept.Entities, _ = keepFirst(r.Entities, peers)
	kept.Ports, kept.Icmps = nil, nil
	for _, rule := range r.Ports {
		if rule.Ports, ports = keepFirst(rule.Ports, ports); len(rule.Ports) > 0 {
			kept.Ports = append(kept.Ports, rule)
		}
	}
	for _, rule := range r.Icmps {
		if rule.Fields, ports = keepFirst(rule.Fields, ports); len(rule.Fields) > 0 {
			kept.Icmps = append(kept.Icmps, rule)
		}
	}
	return kept
}

// keepFirst returns the elements that are used, and what of used is about others.
func keepFirst[T any](list []T, used []bool) ([]T, []bool) {
	return policy.Keep(list, used[:len(list)]), used[len(list):]
}

func (m *merging) dropMetadata(p *cilium.NetworkPolicy) {
	flows := m.scope.FlowsOfAll(m.scope.isolatedBy(p, policy.Egress), policy.Egress, m.flows)
	policy.DropEntries(p, policy.MetadataAnnotation, func(entry string) bool {
		return slices.ContainsFunc(flows, func(f flow.Flow) bool { return m.scope.metadataEntry(f) == entry })
	})
}
