package golden

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// same reports whether two policies of one dialect are equivalent: lists that Kubernetes reads as sets are compared as
// sets, and defaults count as written. Two policies that are not the same may still allow the same flows.
func same(a, b Policy) bool {
	return bytes.Equal(encode(normalize(a)), encode(normalize(b)))
}

func normalize(p Policy) Policy { return implementationOf(p).normalize(p) }

func strip(p Policy) Policy { return implementationOf(p).strip(p) }

func normalSelector(s *metav1.LabelSelector) {
	if s == nil {
		return
	}
	for i := range s.MatchExpressions {
		s.MatchExpressions[i].Values = set(s.MatchExpressions[i].Values)
	}
	s.MatchExpressions = set(s.MatchExpressions)
}

// set sorts values by their JSON and drops repeated ones. An empty list becomes nil, which YAML leaves out.
func set[T any](values []T) []T {
	type keyed struct {
		key   string
		value T
	}
	var all []keyed
	for _, v := range values {
		all = append(all, keyed{string(encode(v)), v})
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b keyed) bool { return a.key == b.key })
	var sorted []T
	for _, k := range all {
		sorted = append(sorted, k.value)
	}
	return sorted
}

// encode returns a Kubernetes value as JSON, map keys sorted.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are plain values: no channels, functions or cycles
	}
	return text
}
