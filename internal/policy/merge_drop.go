package policy

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/flow"
)

// drop removes from the subject's policy what no flow needs. A policy that has no effect on the subject stays.
func (m *merging) drop() {
	p := m.own()
	if p == nil || passesOver(p, m.subject) != "" {
		return
	}
	m.dropRules(p)
	m.dropNames(p)
	m.dropMetadata(p)
}

func (m *merging) dropRules(p *networkingv1.NetworkPolicy) {
	v := views([]*networkingv1.NetworkPolicy{p}, m.subject)[0]
	var kept []networkingv1.NetworkPolicyEgressRule
	for i, rule := range p.Spec.Egress {
		used := v.usage(i, m.flows)
		if !used.rule {
			continue
		}
		// A rule that is used has a peer and a port that are: neither list becomes empty, which would be everywhere.
		rule.To, rule.Ports = keep(rule.To, used.peers), keep(rule.Ports, used.ports)
		kept = append(kept, rule)
	}
	if len(kept) == 0 && len(p.Spec.Egress) > 0 {
		writeTypes(p) // before the rules go by which Kubernetes tells them
	}
	if len(kept) > 0 || len(p.Spec.Egress) > 0 {
		p.Spec.Egress = kept
	}
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
	entries := entriesOf(p, NamesAnnotation)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool {
		name, err := parseName(entry)
		return err == nil && !slices.ContainsFunc(m.flows, name.matches)
	})
	if len(kept) == len(entries) {
		return
	}
	setEntries(p, NamesAnnotation, kept)
	// Even an empty list keeps names away from the rules for single addresses, as long as there are any.
	isExternal := func(f flow.Flow) bool { return f.Destination.Kind == flow.External }
	if len(kept) == 0 && !slices.ContainsFunc(m.flows, isExternal) {
		delete(p.Annotations, NamesAnnotation)
	}
}

func (m *merging) dropMetadata(p *networkingv1.NetworkPolicy) {
	entries := entriesOf(p, MetadataAnnotation)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool {
		return !slices.ContainsFunc(m.flows, func(f flow.Flow) bool { return openingOf(m.subject, f).metadataEntry() == entry })
	})
	switch {
	case len(kept) == len(entries):
	case len(kept) == 0:
		delete(p.Annotations, MetadataAnnotation)
	default:
		setEntries(p, MetadataAnnotation, kept)
	}
}

// entriesOf returns the entries of an annotation of ours, in their order.
func entriesOf(p *networkingv1.NetworkPolicy, annotation string) []string {
	list := strings.TrimSpace(p.Annotations[annotation])
	if list == "" {
		return nil
	}
	entries := strings.Split(list, ",")
	for i := range entries {
		entries[i] = strings.TrimSpace(entries[i])
	}
	return entries
}

func setEntries(p *networkingv1.NetworkPolicy, annotation string, entries []string) {
	metav1.SetMetaDataAnnotation(&p.ObjectMeta, annotation, strings.Join(entries, ","))
}

// addEntry adds an entry to an annotation, before the first that sorts behind it.
func addEntry(p *networkingv1.NetworkPolicy, annotation, entry string) {
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
