package policy

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Keep returns the elements of a list that are used.
func Keep[T any](list []T, used []bool) []T {
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

// DropEntries removes the entries that are not needed from an annotation, and the annotation if none is left.
func DropEntries(p metav1.Object, annotation string, needed func(entry string) bool) {
	entries := EntriesOf(p, annotation)
	kept := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool { return !needed(entry) })
	switch {
	case len(kept) == len(entries):
	case len(kept) == 0:
		delete(p.GetAnnotations(), annotation)
	default:
		SetEntries(p, annotation, kept)
	}
}

// mapEntries passes each entry of an annotation through change. It keeps the first of entries that become equal, and
// writes the list if any entry changed.
func mapEntries(p metav1.Object, annotation string, change func(entry string) string) {
	entries := EntriesOf(p, annotation)
	kept, changed := make([]string, 0, len(entries)), false
	seen := make(map[string]bool)
	for _, entry := range entries {
		to := change(entry)
		changed = changed || to != entry
		if !seen[to] {
			seen[to] = true
			kept = append(kept, to)
		}
	}
	if changed {
		SetEntries(p, annotation, kept)
	}
}

// EntriesOf returns the entries of one of our annotations, in their order.
func EntriesOf(p metav1.Object, annotation string) []string {
	var entries []string
	for entry := range strings.SplitSeq(p.GetAnnotations()[annotation], ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// SetEntries writes a list into an annotation. Requests are long, so each has a line.
func SetEntries(p metav1.Object, annotation string, entries []string) {
	all := p.GetAnnotations()
	if all == nil {
		all = make(map[string]string)
	}
	separator := ","
	if annotation == RequestsAnnotation {
		separator = ",\n"
	}
	all[annotation] = strings.Join(entries, separator)
	p.SetAnnotations(all)
}

// AddEntry adds an entry to an annotation, before the first that sorts after it.
func AddEntry(p metav1.Object, annotation, entry string) {
	entries := EntriesOf(p, annotation)
	if !slices.Contains(entries, entry) {
		SetEntries(p, annotation, InsertBefore(entries, entry, func(e string) bool { return e > entry }))
	}
}

// InsertBefore returns the list with an element inserted before the first later one, or at the end.
func InsertBefore[T any](list []T, element T, later func(T) bool) []T {
	i := slices.IndexFunc(list, later)
	if i < 0 {
		i = len(list)
	}
	return slices.Insert(list, i, element)
}
