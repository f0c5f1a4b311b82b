package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
)

// UniteScopes returns the combined scope of several runs. It returns an error if workloads of one name have different
// labels, or if only some of them have a namespace: no policy could be for all of them. Namespaces of one name with
// different labels are an error too.
func UniteScopes(scopes ...Scope) (Scope, error) {
	var united Scope
	var errs []error
	for _, s := range scopes {
		united.Binaries, united.Requests = united.Binaries || s.Binaries, united.Requests || s.Requests
		united.CloseIngress, united.DenyAll = united.CloseIngress || s.CloseIngress, united.DenyAll || s.DenyAll
		for _, p := range s.Fold {
			if !slices.Contains(united.Fold, p) {
				united.Fold = append(united.Fold, p)
			}
		}
		for _, p := range s.FoldPaths {
			if !slices.Contains(united.FoldPaths, p) {
				united.FoldPaths = append(united.FoldPaths, p)
			}
		}
		for _, r := range s.Ranges {
			if !slices.Contains(united.Ranges, r) {
				united.Ranges = append(united.Ranges, r)
			}
		}
		united.Addresses = append(united.Addresses, s.Addresses...)
		for _, name := range slices.Sorted(maps.Keys(s.Namespaces)) {
			set, known := united.Namespaces[name]
			if known && !maps.Equal(set, s.Namespaces[name]) {
				errs = append(
					errs,
					fmt.Errorf("namespace %s has the labels %s and %s: use the same labels in all manifests",
						name, labels.Set(set), labels.Set(s.Namespaces[name])),
				)
			}
			if united.Namespaces == nil {
				united.Namespaces = make(map[string]map[string]string)
			}
			united.Namespaces[name] = s.Namespaces[name]
		}
		for _, subject := range s.Subjects {
			for _, other := range united.Subjects {
				if other.Name != subject.Name {
					continue
				}
				switch sameNamespace := other.Namespace == subject.Namespace; {
				case sameNamespace && !maps.Equal(other.AsSubject().SelectorLabels(), subject.AsSubject().SelectorLabels()):
					errs = append(
						errs,
						fmt.Errorf("workload %s has the labels %s and %s: give one of them another name",
							subject.Name, other.AsSubject().SelectorLabels(), subject.AsSubject().SelectorLabels()),
					)
				case !sameNamespace && (other.Namespace == "" || subject.Namespace == ""):
					errs = append(
						errs,
						fmt.Errorf("workload %s is in %s and in %s: use Namespace in all tests, or in none",
							subject.Name, describeNamespace(other.Namespace), describeNamespace(subject.Namespace)),
					)
				}
			}
			united.Subjects = append(united.Subjects, subject)
		}
		for _, r := range s.Resolvers {
			if !slices.ContainsFunc(united.Resolvers, func(q Resolver) bool {
				return r.Equal(q) &&
					slices.Equal(r.PortsOrDefault(), q.PortsOrDefault())
			}) {
				united.Resolvers = append(united.Resolvers, r)
			}
		}
		for _, peer := range s.Peers {
			known := func(w Workload) bool { return w.Name == peer.Name && w.Namespace == peer.Namespace }
			if !slices.ContainsFunc(united.Peers, known) {
				united.Peers = append(united.Peers, peer)
			}
		}
	}
	if len(errs) > 0 {
		return Scope{}, errs[0] // the other errors report the same about other tests
	}
	slices.SortFunc(united.Addresses, netip.Addr.Compare)
	united.Addresses = slices.Compact(united.Addresses)
	return united, nil
}
