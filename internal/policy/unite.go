package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IsList reports whether an annotation is a list. The union of lists holds the entries of all parts.
func IsList(annotation string) bool {
	return slices.Contains([]string{
		NamesAnnotation, MetadataAnnotation, BinariesAnnotation, OtherAnnotation, OtherIngressAnnotation,
		APIServerAnnotation, HostNetworkAnnotation, HostNetworkIngressAnnotation, RequestsAnnotation, KafkaAnnotation,
	}, annotation)
}

// GroupByName returns the policies grouped by namespace and name, sorted by these.
func GroupByName[P metav1.Object](sets [][]P) ([][]P, error) {
	var all []P
	var errs []error
	namespaces := make(map[string]string)
	for _, set := range sets {
		for _, p := range set {
			all = append(all, p)
			elsewhere := slices.ContainsFunc(set, func(q P) bool {
				return q.GetName() == p.GetName() && q.GetNamespace() != p.GetNamespace()
			})
			if before, seen := namespaces[p.GetName()]; seen && before != p.GetNamespace() && !elsewhere {
				errs = append(errs, fmt.Errorf("policy %s is in %s and in %s: give them one namespace, or two names",
					p.GetName(), describeNamespace(before), describeNamespace(p.GetNamespace())))
			}
			if !elsewhere {
				namespaces[p.GetName()] = p.GetNamespace()
			}
		}
	}
	compare := func(p, q P) int {
		return cmp.Or(cmp.Compare(p.GetNamespace(), q.GetNamespace()), cmp.Compare(p.GetName(), q.GetName()))
	}
	slices.SortStableFunc(all, compare)
	var groups [][]P
	for i, p := range all {
		if i == 0 || compare(all[i-1], p) != 0 {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], p)
	}
	return groups, errors.Join(errs...)
}

func describeNamespace(name string) string {
	if name == "" {
		return "no namespace"
	}
	return "namespace " + name
}

// SelectorConflict returns the error for two policies of one name that select different pods.
func SelectorConflict(name, a, b string) error {
	return fmt.Errorf("policy %s selects %s and %s: give one of the two workloads another name",
		name, a, b)
}

// UniteMetadata returns the metadata of a union. Its lists hold the entries of all parts.
func UniteMetadata(metas []*metav1.ObjectMeta) (metav1.ObjectMeta, error) {
	united := metav1.ObjectMeta{Name: metas[0].Name, Namespace: metas[0].Namespace}
	var errs []error
	add := func(what, key, value string, to *map[string]string) {
		old, has := (*to)[key]
		switch {
		case !has:
			if *to == nil {
				*to = make(map[string]string)
			}
			(*to)[key] = value
		case old != value:
			errs = append(
				errs, fmt.Errorf("policy %s has the %s %s with %q and with %q: keep one", united.Name, what, key, old, value),
			)
		}
	}
	lists := make(map[string][]string)
	for _, m := range metas {
		for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
			add("label", key, m.Labels[key], &united.Labels)
		}
		for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
			if IsList(key) {
				lists[key] = append(lists[key], EntriesOf(m, key)...)
				continue
			}
			add("annotation", key, m.Annotations[key], &united.Annotations)
		}
	}
	for key, entries := range lists {
		slices.Sort(entries)
		SetEntries(&united, key, slices.Compact(entries))
	}
	uniteBinaries(&united, metas)
	uniteKafka(&united, metas)
	return united, errors.Join(errs...)
}

// SortedSelector returns the canonical form of equivalent selectors.
func SortedSelector(s metav1.LabelSelector) metav1.LabelSelector {
	s = *s.DeepCopy()
	for i := range s.MatchExpressions {
		slices.Sort(s.MatchExpressions[i].Values)
	}
	slices.SortFunc(s.MatchExpressions, func(a, b metav1.LabelSelectorRequirement) int {
		return cmp.Compare(a.String(), b.String())
	})
	return s
}

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
