package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// Resolve returns the Service or workload for which a DNS name stands when pods of a namespace look it up, as the
// cluster's DNS and the search list of a pod resolve it:
//
//	orders-db                              in the caller's namespace
//	orders-db.shop                         in namespace shop
//	orders-db-0.orders-db[.shop]           a pod behind it, as StatefulSets and headless Services have them
//	_pg._tcp.orders-db.shop                one of its ports
//	any of them with .svc, and with .svc and a cluster domain
//
// An empty namespace is one that is not known; then an object counts if it is the only one of its name. A namespace in
// the name has to be one that the manifests mention, or the caller's: "redis.io" is a host though there is a Service
// redis. It reports false where the manifests do not know the name.
func (s *Set) Resolve(name, namespace string) (object, in string, known bool) {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
	for len(labels) > 1 && strings.HasPrefix(labels[0], "_") {
		labels = labels[1:]
	}
	if i := slices.Index(labels, "svc"); i >= 2 { // what follows is the cluster's domain
		object, in = labels[i-2], labels[i-1]
		return object, in, i <= 3 && s.has(object, in, in)
	}
	switch len(labels) {
	case 1:
		if s.has(labels[0], namespace, namespace) {
			return labels[0], namespace, true
		}
	case 2:
		if s.has(labels[0], labels[1], namespace) {
			return labels[0], labels[1], true
		}
		if s.hasPod(labels[0], labels[1], namespace) {
			return labels[1], namespace, true
		}
	case 3:
		if s.has(labels[1], labels[2], namespace) && s.hasPod(labels[0], labels[1], labels[2]) {
			return labels[1], labels[2], true
		}
	}
	return "", "", false
}

// has reports whether there is a Service or a workload of a name in a namespace. One without a namespace goes where it is
// applied: it counts in the caller's namespace and in those that the manifests mention, unless they have their own.
func (s *Set) has(name, namespace, caller string) bool {
	if services, workloads := s.named(name, namespace); len(services)+len(workloads) > 0 {
		return true
	}
	if namespace != caller && !s.mentions(namespace) {
		return false
	}
	services, workloads := s.named(name, "")
	return slices.ContainsFunc(services, func(s *service) bool { return s.namespace == "" }) ||
		slices.ContainsFunc(workloads, func(w *workload) bool { return w.namespace == "" })
}

// mentions reports whether any object is, or is in, a namespace.
func (s *Set) mentions(name string) bool {
	return slices.ContainsFunc(s.namespaces, func(n *namespace) bool { return n.name == name }) ||
		slices.ContainsFunc(s.services, func(s *service) bool { return s.namespace == name }) ||
		slices.ContainsFunc(s.workloads, func(w *workload) bool { return w.namespace == name })
}

// hasPod reports whether a name is that of a pod behind a Service or in a workload: of a StatefulSet its name and a number,
// of a headless Service any.
func (s *Set) hasPod(pod, object, namespace string) bool {
	if !s.has(object, namespace, namespace) {
		return false
	}
	m, err := s.Find(object, namespace)
	if err != nil {
		return false
	}
	for _, w := range m.pods {
		if ordinal, isPod := strings.CutPrefix(pod, w.name+"-"); isPod && w.kind == "StatefulSet" {
			if _, err := strconv.ParseUint(ordinal, 10, 31); err == nil {
				return true
			}
		}
	}
	return m.Kind == "Service" && m.direct && m.ExternalName == ""
}

// maxAliases is how many Services of type ExternalName may stand for one another.
const maxAliases = 8

// target returns what a Service of type ExternalName stands for where its host is the full name of a Service that the
// manifests know, and false where it is another host. hops counts the Services of this type that led to this one.
func (s *Set) target(svc *service, hops int) (Match, bool, error) {
	name, namespace, known := s.Resolve(svc.externalName, svc.namespace)
	if !known || !isClusterName(svc.externalName) {
		return Match{}, false, nil
	}
	if hops == maxAliases {
		return Match{}, true, &UnusableError{svc.name, svc.describe(), "its externalName leads through more than 8 other Services, or back to itself",
			"give it the name of a Service with pods, or of a host"}
	}
	m, err := s.find(name, namespace, hops+1)
	return m, true, err
}

// isClusterName reports whether a name is a Service's with ".svc": a CNAME, as of an ExternalName, has no search list.
func isClusterName(name string) bool {
	return slices.Index(strings.Split(strings.TrimSuffix(name, "."), "."), "svc") >= 2
}

// withoutAliases leaves out Services of type ExternalName that only stand for another one of them: a name that a second
// namespace has for the same pods means those.
func (s *Set) withoutAliases(services []*service, hops int) []*service {
	if len(services) < 2 {
		return services
	}
	return slices.DeleteFunc(slices.Clone(services), func(svc *service) bool {
		if svc.externalName == "" {
			return false
		}
		to, follows, err := s.target(svc, hops)
		return follows && err == nil && slices.ContainsFunc(services, func(other *service) bool {
			return to.Kind == other.kind && to.Name == other.name && to.Namespace == other.namespace
		})
	})
}
