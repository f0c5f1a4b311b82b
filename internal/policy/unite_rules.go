package policy

import (
	"cmp"
	"encoding/json"
	"slices"
)

// SortedSet returns the distinct elements of a list, sorted by their JSON.
func SortedSet[T any](list []T) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(EncodeJSON(a), EncodeJSON(b)) })
	return slices.CompactFunc(list, func(a, b T) bool { return EncodeJSON(a) == EncodeJSON(b) })
}

// EncodeJSON returns a Kubernetes value as JSON, map keys sorted.
func EncodeJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are plain values: no channels, functions or cycles
	}
	return string(text)
}
