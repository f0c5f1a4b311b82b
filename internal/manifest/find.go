package manifest

import (
	"maps"
	"slices"
	"strings"
)

// Find returns the Service with this name, or else the workload. If a Service and a workload in one namespace share the
// name, which is usual, the Service counts if it selects the workload's pods.
//
// An empty namespace matches any. An object without a written namespace is found in any namespace, because it is
// created wherever it is applied, unless the namespace has an object of the same name. The name may contain the
// namespace itself: "orders-db.shop", which the manifest then has to contain, or "orders-db.shop.svc.cluster.local".
//
// A Service of type ExternalName with the full name of another Service as its host, as in
// "orders-db.shop.svc.cluster.local", stands for that Service.
//
// The error is a [*NotFoundError], an [*AmbiguousError] or an [*UnusableError].
func (s *Set) Find(name, namespace string) (Match, error) { return s.find(name, namespace, 0) }

func (s *Set) find(name, namespace string, hops int) (Match, error) {
	services, workloads := s.named(name, namespace)
	if namespace == "" && len(services) == 0 && len(workloads) == 0 {
		if short, in, inCluster := cutNamespace(name); inCluster {
			return s.find(short, in, hops)
		} else if in != "" { // otherwise a host's name
			services, workloads = s.named(short, in)
		}
	}
	if len(services) == 0 && len(workloads) == 0 && namespace != "" {
		services, workloads = s.named(name, "")
		elsewhere := func(i identity) bool { return i.namespace != "" }
		services = slices.DeleteFunc(services, func(s *service) bool { return elsewhere(s.identity) })
		workloads = slices.DeleteFunc(workloads, func(w *workload) bool { return elsewhere(w.identity) })
	}
	services = s.withoutAliases(services, hops)
	var candidates []string
	namespaces := make(map[string]bool)
	for _, s := range services {
		candidates, namespaces[s.namespace] = append(candidates, s.describe()), true
	}
	for _, w := range workloads {
		candidates, namespaces[w.namespace] = append(candidates, w.describe()), true
	}
	switch {
	case len(candidates) == 0:
		names := s.names()
		return Match{}, &NotFoundError{Name: name, Namespace: namespace, Nearest: nearest(name, names), Names: names}
	case len(namespaces) > 1:
		advice := "add the namespace, as in " + name + "." + slices.Max(slices.Collect(maps.Keys(namespaces)))
		return Match{}, &AmbiguousError{name, candidates, advice}
	case len(workloads) > 1 && !(len(services) == 1 && s.decides(services[0], workloads)):
		return Match{}, &AmbiguousError{name, candidates, "rename all but one, or give patterns that match one"}
	case len(services) == 1:
		return s.ofService(services[0], workloads, hops)
	}
	return s.ofWorkload(workloads[0])
}

// cutNamespace splits a name of the cluster's DNS, and reports whether it can only be that.
func cutNamespace(name string) (short, namespace string, inCluster bool) {
	name = strings.TrimSuffix(name, ".")
	name, _ = strings.CutSuffix(name, ".cluster.local")
	name, inCluster = strings.CutSuffix(name, ".svc")
	short, namespace, _ = strings.Cut(name, ".")
	return short, namespace, inCluster && namespace != ""
}

func (s *Set) named(name, namespace string) (services []*service, workloads []*workload) {
	is := func(i identity) bool { return i.name == name && (namespace == "" || i.namespace == namespace) }
	for _, svc := range s.services {
		if is(svc.identity) {
			services = append(services, svc)
		}
	}
	for _, w := range s.workloads {
		if is(w.identity) {
			workloads = append(workloads, w)
		}
	}
	return services, workloads
}

// names returns the names that Find accepts, sorted.
func (s *Set) names() []string {
	var names []string
	add := func(i identity) {
		if i.namespace != "" {
			i.name += "." + i.namespace
		}
		names = append(names, i.name)
	}
	for _, svc := range s.services {
		add(svc.identity)
	}
	for _, w := range s.workloads {
		if !hasGeneratedName(w.name) {
			add(w.identity)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *service) describe() string  { return s.match().String() }
func (w *workload) describe() string { return w.match().String() }

func (s *service) match() Match {
	return Match{Kind: s.kind, Name: s.name, Namespace: s.namespace, File: s.file, Line: s.line}
}

func (w *workload) match() Match {
	return Match{Kind: w.kind, Name: w.name, Namespace: w.namespace, File: w.file, Line: w.line}
}
