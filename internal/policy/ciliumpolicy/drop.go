package ciliumpolicy

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// drop removes everything that no flow needs from a subject's policy. It keeps a policy that has no effect on the
// subject.
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
		policy.DropOthers(m.scope.otherFlows(), p, m.scope.listedBy(p), m.flows)
		unused := policy.UnusedLookups(
			m.scope.Scope, p, m.scope.listedBy(p)(policy.Egress),
			func(w policy.Workload) []flow.Flow { return m.scope.unmetLookups(m.policies, w, m.flows) },
		)
		policy.DropEntries(p, policy.NamesAnnotation, func(entry string) bool { return !slices.Contains(unused, entry) })
		if m.scope.Requests {
			policy.DropKafka(p, m.scope.kafkaOf(m.scope.isolatedBy(p, policy.Egress), m.flows))
		}
		if m.scope.Binaries {
			policy.DropBinaries(p, m.scope.binariesOf(m.scope.isolatedBy(p, policy.Egress), m.flows))
		}
	}
}

// dropRules removes unused rules, peers and ports. If none are left, egress denies everything. Ingress then denies
// everything if the subject has callers, if the policy denied all ingress before, or if the policy has no egress rules.
// Otherwise ingress is open again, as in the output of Generate.
func (m *merging) dropRules(p *cilium.NetworkPolicy, d policy.Direction) {
	rules := RulesOf(p, d)
	usage := m.scope.usage(p, d, m.flows)
	if usage == nil {
		return
	}
	deniedAll := !slices.ContainsFunc(rules, func(r Rule) bool { return !r.isEmpty() })
	kept := make([]Rule, 0, len(rules))
	for i, r := range rules {
		if used := usage[i]; used.Rule && !r.isEmpty() {
			kept = append(kept, r.keep(used))
		}
	}
	isServer := func(s policy.Subject) bool {
		return m.scope.IsolatesIngress(s, m.scope.serves(m.flows.Of(s.Workload, policy.Ingress)))
	}
	if len(kept) == 0 && (d == policy.Egress || deniedAll || len(p.Spec.Egress) == 0 ||
		slices.ContainsFunc(m.scope.isolatedBy(p, policy.Ingress), isServer)) {
		kept = []Rule{{}}
	}
	SetRules(p, d, kept)
}

// keep returns a rule with only the used peers, ports and HTTP rules. used has one element for each of them in the
// rule; without HTTP it keeps all HTTP rules.
func (r Rule) keep(used policy.Usage) Rule {
	peers, ports := used.Peers, used.Ports
	kept := r
	kept.Endpoints, peers = keepFirst(r.Endpoints, peers)
	kept.Names, peers = keepFirst(r.Names, peers)
	kept.Addresses, peers = keepFirst(r.Addresses, peers)
	kept.Cidrs, peers = keepFirst(r.Cidrs, peers)
	kept.Entities, _ = keepFirst(r.Entities, peers)
	kept.Ports, kept.Icmps = nil, nil
	http := used.HTTP
	for _, rule := range r.Ports {
		if rule.HasHTTP() && http != nil {
			var list []cilium.HTTPRule
			list, http = keepFirst(rule.Rules.HTTP, http)
			rule.Rules = &cilium.L7Rules{HTTP: list}
		}
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

// keepFirst returns the used elements of a list, and the rest of used, which is about the lists that follow.
func keepFirst[T any](list []T, used []bool) ([]T, []bool) {
	return policy.Keep(list, used[:len(list)]), used[len(list):]
}

func (m *merging) dropMetadata(p *cilium.NetworkPolicy) {
	flows := m.flows.OfAll(m.scope.isolatedBy(p, policy.Egress), policy.Egress)
	policy.DropEntries(p, policy.MetadataAnnotation, func(entry string) bool {
		return slices.ContainsFunc(flows, func(f flow.Flow) bool { return m.scope.metadataEntry(f) == entry })
	})
}
