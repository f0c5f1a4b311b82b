package policy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InsertAll inserts elements one after the other, each before the first later element of the list, or at the end.
// keyOf returns the sort key of an element, or false for one that has no place in the order and never counts as
// later.
func InsertAll[T, K any](list, elements []T, keyOf func(T) (K, bool), compare func(a, b K) int) []T {
	type keyed struct {
		element *T
		key     K
		ordered bool
	}
	keysOf := func(list []T) []keyed {
		keys := make([]keyed, len(list))
		for i := range list {
			key, ok := keyOf(list[i])
			keys[i] = keyed{&list[i], key, ok}
		}
		return keys
	}
	all, added := keysOf(list), keysOf(elements)
	later := func(of keyed) func(keyed) bool {
		return func(other keyed) bool { return other.ordered && compare(other.key, of.key) > 0 }
	}
	merged := make([]keyed, 0, len(all)+len(added))
	if slices.IsSortedFunc(added, func(a, b keyed) int { return compare(a.key, b.key) }) {
		// An element that is not later than one of them is not later than the next one.
		for _, a := range added {
			i := slices.IndexFunc(all, later(a))
			if i < 0 {
				i = len(all)
			}
			merged = append(append(merged, all[:i]...), a)
			all = all[i:]
		}
		merged = append(merged, all...)
	} else {
		merged = all
		for _, a := range added {
			merged = InsertBefore(merged, a, later(a))
		}
	}
	result := make([]T, len(merged))
	for i, m := range merged {
		result[i] = *m.element
	}
	return result
}

// AddEntries adds entries to an annotation, each before the first that sorts after it, and returns the number of new
// ones.
func AddEntries(p metav1.Object, annotation string, added []string) int {
	entries := EntriesOf(p, annotation)
	known := make(map[string]bool)
	for _, e := range entries {
		known[e] = true
	}
	added = slices.Clone(added)
	slices.Sort(added)
	added = slices.DeleteFunc(slices.Compact(added), func(e string) bool { return known[e] })
	if len(added) > 0 {
		ordered := func(e string) (string, bool) { return e, true }
		SetEntries(p, annotation, InsertAll(entries, added, ordered, cmp.Compare[string]))
	}
	return len(added)
}
