package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// drop removes from a subject's policy what no flow needs. A policy that has no effect on the subject stays.
func (m *ciliumMerging) drop(subject Workload) {
	for _, p := range m.ownParts(subject) {
		m.dropFrom(p, subject)
	}
}

func (m *ciliumMerging) dropFrom(p *cilium.NetworkPolicy, subject Workload) {
	for _, d := range directions {
		if ciliumPassesOver(p, subject, d) == "" {
			m.dropRules(p, d)
		}
	}
	if ciliumPassesOver(p, subject, egress) == "" {
		m.dropMetadata(p)
		dropOthers(m.scope.otherWords(), p, m.scope.listedBy(p), m.flows)
		unused := unusedLookups(m.scope.Scope, p, m.scope.listedBy(p)(egress), func(w Workload) []flow.Flow { return m.scope.unmetLookups(m.policies, w, m.flows) })
		dropEntries(p, NamesAnnotation, func(entry string) bool { return !slices.Contains(unused, entry) })
		if m.scope.Binaries {
			dropBinaries(p, m.scope.binariesOf(m.scope.isolatedBy(p, egress), m.flows))
		}
	}
}

// dropRules removes rules, peers and ports. Egress without any left denies everything; so does ingress of a server, and
// of a policy that denied everything before. That of a subject which nobody was seen to call is open again, as it is in
// what Generate writes.
func (m *ciliumMerging) dropRules(p *cilium.NetworkPolicy, d direction) {
	rules := ciliumRulesOf(p, d)
	usage := m.scope.usage(p, d, m.flows)
	if usage == nil {
		return
	}
	deniedAll := !slices.ContainsFunc(rules, func(r ciliumRule) bool { return !r.isEmpty() })
	var kept []ciliumRule
	for i, r := range rules {
		if used := usage[i]; used.rule && !r.isEmpty() {
			kept = append(kept, r.keep(used))
		}
	}
	isServer := func(s Subject) bool { return m.scope.isolatesIngress(s, m.scope.serves(s.Workload, m.flows)) }
	if len(kept) == 0 && (d == egress || deniedAll || len(p.Spec.Egress) == 0 || slices.ContainsFunc(m.scope.isolatedBy(p, ingress), isServer)) {
		kept = []ciliumRule{{}}
	}
	setCiliumRules(p, d, kept)
}

// keep returns a rule with the peers and ports that are used; there is one of each, or none that was written.
func (r ciliumRule) keep(used usage) ciliumRule {
	peers, ports := used.peers, used.ports
	kept := r
	kept.endpoints, peers = keepFirst(r.endpoints, peers)
	kept.names, peers = keepFirst(r.names, peers)
	kept.addresses, peers = keepFirst(r.addresses, peers)
	kept.cidrs, peers = keepFirst(r.cidrs, peers)
	kept.entities, _ = keepFirst(r.entities, peers)
	kept.ports, kept.icmps = nil, nil
	for _, rule := range r.ports {
		if rule.Ports, ports = keepFirst(rule.Ports, ports); len(rule.Ports) > 0 {
			kept.ports = append(kept.ports, rule)
		}
	}
	for _, rule := range r.icmps {
		if rule.Fields, ports = keepFirst(rule.Fields, ports); len(rule.Fields) > 0 {
			kept.icmps = append(kept.icmps, rule)
		}
	}
	return kept
}

// keepFirst returns the elements that are used, and what of used is about others.
func keepFirst[T any](list []T, used []bool) ([]T, []bool) {
	return keep(list, used[:len(list)]), used[len(list):]
}

func (m *ciliumMerging) dropMetadata(p *cilium.NetworkPolicy) {
	flows := m.scope.ofAll(m.scope.isolatedBy(p, egress), egress, m.flows)
	dropEntries(p, MetadataAnnotation, func(entry string) bool {
		return slices.ContainsFunc(flows, func(f flow.Flow) bool { return m.scope.metadataEntry(f) == entry })
	})
}
