package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// drop removes the parts that no flow needs from a subject's policy. A policy that has no effect on the subject
// stays.
func (m *merging) drop(subject policy.Workload) {
	p := m.own(subject)
	if p == nil {
		return
	}
	if doesNotIsolate(p, subject, policy.Egress) == "" {
		m.dropRules(p, policy.Egress)
		m.dropNames(p)
		m.dropMetadata(p)
		m.dropEverywhere(p, policy.Egress)
		policy.DropOthers(m.scope.otherFlows(), p, m.scope.listedBy(p), m.flows)
		isolated := m.scope.isolatedBy(p, policy.Egress)
		m.scope.DropRequests(p, isolated, m.flows)
		if m.scope.Requests {
			policy.DropKafka(p, m.scope.kafkaOf(isolated, m.flows))
		}
		if m.scope.Binaries {
			policy.DropBinaries(p, m.scope.binariesOf(isolated, m.flows))
		}
	}
	if doesNotIsolate(p, subject, policy.Ingress) == "" {
		none := m.dropRules(p, policy.Ingress)
		m.dropEverywhere(p, policy.Ingress)
		if none {
			m.dropIngress(p)
		}
	}
}

// dropRules removes rules, peers and ports. It reports whether it removed the last rule.
func (m *merging) dropRules(p *networkingv1.NetworkPolicy, d policy.Direction) bool {
	rules := RulesOf(p, d)
	usage := m.scope.usage(p, d, m.flows)
	if usage == nil || len(rules) == 0 {
		return false
	}
	kept := make([]Rule, 0, len(rules))
	for i, r := range rules {
		if used := usage[i]; used.Rule {
			// A peer and a port are used, so neither list becomes empty, which would mean everywhere.
			kept = append(kept, Rule{policy.Keep(r.Peers, used.Peers), policy.Keep(r.Ports, used.Ports)})
		}
	}
	if len(kept) == 0 {
		writeTypes(p) // first, because Kubernetes infers the types from the rules
	}
	SetRules(p, d, kept)
	return len(kept) == 0
}

// dropIngress removes the type Ingress from a policy that has lost its last ingress rule, unless the flows show a
// subject that it isolates as a server. With the type the policy would deny callers that may be legitimate.
func (m *merging) dropIngress(p *networkingv1.NetworkPolicy) {
	isServer := func(s policy.Subject) bool {
		return m.scope.IsolatesIngress(s, m.scope.serves(m.flows.Of(s.Workload, policy.Ingress)))
	}
	if slices.ContainsFunc(m.scope.isolatedBy(p, policy.Ingress), isServer) || !HasType(p, policy.Egress) {
		return // a policy without types has the type Ingress
	}
	p.Spec.PolicyTypes = slices.DeleteFunc(p.Spec.PolicyTypes, func(t networkingv1.PolicyType) bool {
		return t == networkingv1.PolicyTypeIngress
	})
}

func (m *merging) dropNames(p *networkingv1.NetworkPolicy) {
	entries, flows := policy.EntriesOf(p, policy.NamesAnnotation), m.egressOf(p)
	unused := m.scope.unusedLookups(m.policies, p, m.flows)
	needed := newHostIndex(flows)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool {
		name, err := policy.ParseName(entry)
		return err == nil && (unused[entry] || !name.IsLookup() && !needed.needs(name))
	})
	if len(kept) == len(entries) {
		return
	}
	policy.SetEntries(p, policy.NamesAnnotation, kept)
	// Even an empty list excludes names from the rules for single addresses, if there are any.
	isExternal := func(f flow.Flow) bool {
		return f.Destination.Kind == flow.External && m.scope.inexpressible(policy.Egress, f) == ""
	}
	if len(kept) == 0 && !slices.ContainsFunc(flows, isExternal) {
		delete(p.Annotations, policy.NamesAnnotation)
	}
}

// egressOf returns the outgoing flows of the subjects that a policy isolates.
func (m *merging) egressOf(p *networkingv1.NetworkPolicy) []flow.Flow {
	return m.flows.OfAll(m.scope.isolatedBy(p, policy.Egress), policy.Egress)
}

func (m *merging) dropMetadata(p *networkingv1.NetworkPolicy) {
	flows := m.egressOf(p)
	policy.DropEntries(p, policy.MetadataAnnotation, func(entry string) bool {
		return slices.ContainsFunc(flows, func(f flow.Flow) bool {
			return m.scope.permissionOf(policy.Workload{}, policy.Egress, f).metadataEntry() == entry
		})
	})
}
