package policy

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// drop removes from a subject's policy what no flow needs. A policy that has no effect on the subject stays.
func (m *merging) drop(subject Workload) {
	p := m.own(subject)
	if p == nil {
		return
	}
	if passesOver(p, subject, egress) == "" {
		m.dropRules(p, egress)
		m.dropNames(p)
		m.dropMetadata(p)
		m.dropEverywhere(p, egress)
		dropOthers(m.scope.otherWords(), p, m.scope.listedBy(p), m.flows)
		if m.scope.Binaries {
			dropBinaries(p, m.scope.binariesOf(m.scope.isolatedBy(p, egress), m.flows))
		}
	}
	if passesOver(p, subject, ingress) == "" {
		none := m.dropRules(p, ingress)
		m.dropEverywhere(p, ingress)
		if none {
			m.dropIngress(p)
		}
	}
}

// dropRules removes rules, peers and ports. It reports whether it removed the last of the rules.
func (m *merging) dropRules(p *networkingv1.NetworkPolicy, d direction) bool {
	rules := rulesOf(p, d)
	usage := m.scope.usage(p, d, m.flows)
	if usage == nil || len(rules) == 0 {
		return false
	}
	var kept []rule
	for i, r := range rules {
		if used := usage[i]; used.rule {
			// It has a peer and a port that are used: neither list becomes empty, which would be everywhere.
			kept = append(kept, rule{keep(r.peers, used.peers), keep(r.ports, used.ports)})
		}
	}
	if len(kept) == 0 {
		writeTypes(p) // before the rules go by which Kubernetes tells them
	}
	setRules(p, d, kept)
	return len(kept) == 0
}

// dropIngress takes the type Ingress from a policy that has lost its last rule for it, unless a subject that it
// isolates was seen as a server: with it the policy would deny what nobody knows to be wrong.
func (m *merging) dropIngress(p *networkingv1.NetworkPolicy) {
	isServer := func(s Subject) bool { return m.scope.isolatesIngress(s, m.scope.serves(s.Workload, m.flows)) }
	if slices.ContainsFunc(m.scope.isolatedBy(p, ingress), isServer) || !hasType(p, egress) {
		return // no type at all is the type Ingress
	}
	p.Spec.PolicyTypes = slices.DeleteFunc(p.Spec.PolicyTypes, func(t networkingv1.PolicyType) bool {
		return t == networkingv1.PolicyTypeIngress
	})
}

// keep returns the elements of a list that are used.
func keep[T any](list []T, used []bool) []T {
	if !slices.Contains(used, false) {
		return list
	}
	var kept []T
	for i, element := range list {
		if used[i] {
			kept = append(kept, element)
		}
	}
	return kept
}

func (m *merging) dropNames(p *networkingv1.NetworkPolicy) {
	entries, flows := entriesOf(p, NamesAnnotation), m.egressOf(p)
	unused := m.scope.unusedLookups(m.policies, p, m.flows)
	needed := newHostIndex(flows)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool {
		name, err := parseName(entry)
		return err == nil && (unused[entry] || !name.isLookup() && !needed.needs(name))
	})
	if len(kept) == len(entries) {
		return
	}
	setEntries(p, NamesAnnotation, kept)
	// Even an empty list keeps names away from the rules for single addresses, as long as there are any.
	isExternal := func(f flow.Flow) bool {
		return f.Destination.Kind == flow.External && m.scope.inexpressible(egress, f) == ""
	}
	if len(kept) == 0 && !slices.ContainsFunc(flows, isExternal) {
		delete(p.Annotations, NamesAnnotation)
	}
}

// egressOf returns the flows that leave the subjects that a policy isolates.
func (m *merging) egressOf(p *networkingv1.NetworkPolicy) []flow.Flow {
	return m.scope.ofAll(m.scope.isolatedBy(p, egress), egress, m.flows)
}

func (m *merging) dropMetadata(p *networkingv1.NetworkPolicy) {
	flows := m.egressOf(p)
	dropEntries(p, MetadataAnnotation, func(entry string) bool {
		return slices.ContainsFunc(flows, func(f flow.Flow) bool {
			return m.scope.openingOf(Workload{}, egress, f).metadataEntry() == entry
		})
	})
}

// dropEntries removes from an annotation the entries that are not needed, and with the last of them the annotation.
func dropEntries(p metav1.Object, annotation string, needed func(entry string) bool) {
	entries := entriesOf(p, annotation)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool { return !needed(entry) })
	switch {
	case len(kept) == len(entries):
	case len(kept) == 0:
		delete(p.GetAnnotations(), annotation)
	default:
		setEntries(p, annotation, kept)
	}
}

// entriesOf returns the entries of an annotation of ours, in their order.
func entriesOf(p metav1.Object, annotation string) []string {
	var entries []string
	for entry := range strings.SplitSeq(p.GetAnnotations()[annotation], ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

func setEntries(p metav1.Object, annotation string, entries []string) {
	all := p.GetAnnotations()
	if all == nil {
		all = make(map[string]string)
	}
	all[annotation] = strings.Join(entries, ",")
	p.SetAnnotations(all)
}

// addEntry adds an entry to an annotation, before the first that sorts behind it.
func addEntry(p metav1.Object, annotation, entry string) {
	entries := entriesOf(p, annotation)
	if !slices.Contains(entries, entry) {
		setEntries(p, annotation, insertBefore(entries, entry, func(e string) bool { return e > entry }))
	}
}

// insertBefore returns the list with an element before the first that is later, or at the end.
func insertBefore[T any](list []T, element T, later func(T) bool) []T {
	i := slices.IndexFunc(list, later)
	if i < 0 {
		i = len(list)
	}
	return slices.Insert(list, i, element)
}
