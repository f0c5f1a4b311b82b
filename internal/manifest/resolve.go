package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// Resolve returns the Service or workload of a DNS name that pods of a namespace look up, like the cluster's DNS and
// the search list of a pod:
//
//	orders-db                              in the caller's namespace
//	orders-db.shop                         in namespace shop
//	orders-db-0.orders-db[.shop]           a pod of a StatefulSet or behind a headless Service
//	_pg._tcp.orders-db.shop                one of its ports
//	any of them with .svc, and with .svc and a cluster domain
//
// An empty namespace means unknown; then an object counts if it is the only one with its name. A namespace in the name
// has to be one of the manifests' or the caller's: "redis.io" is a host even if there is a Service redis. It reports
// false for a name that is not in the manifests.
func (s *Set) Resolve(name, namespace string) (object, in string, known bool) {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
	for len(labels) > 1 && strings.HasPrefix(labels[0], "_") {
		labels = labels[1:]
	}
	if i := slices.Index(labels, "svc"); i >= 2 { // the cluster's domain follows
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

// has reports whether a namespace has a Service or a workload with this name. An object without a namespace goes where
// it is applied: it counts in the caller's namespace and in the namespaces of the manifests, unless those have one of
// their own.
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

// mentions reports whether an object is a namespace with this name, or is in it.
func (s *Set) mentions(name string) bool {
	return slices.ContainsFunc(s.namespaces, func(n *namespace) bool { return n.name == name }) ||
		slices.ContainsFunc(s.services, func(s *service) bool { return s.namespace == name }) ||
		slices.ContainsFunc(s.workloads, func(w *workload) bool { return w.namespace == name })
}

// hasPod reports whether a pod behind a Service or in a workload may have this name. A StatefulSet's pod has the
// StatefulSet's name and a number. A pod behind a headless Service may have any name.
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

// maxAliases is the maximum length of a chain of ExternalName Services.
const maxAliases = 8

// target returns the match of a Service of type ExternalName if its host is the full name of a Service of the
// manifests; false for another host. hops counts the ExternalName Services that led to this one.
func (s *Set) target(svc *service, hops int) (Match, bool, error) {
	name, namespace, known := s.Resolve(svc.externalName, svc.namespace)
	if !known || !isClusterName(svc.externalName) {
		return Match{}, false, nil
	}
	if hops == maxAliases {
		return Match{}, true, &UnusableError{svc.name, svc.describe(),
			"its externalName leads through more than 8 other Services, or back to itself",
			"give it the name of a Service with pods, or of a host"}
	}
	m, err := s.find(name, namespace, hops+1)
	return m, true, err
}

// isClusterName reports whether a name is a Service's with ".svc": the CNAME of an ExternalName has no search list.
func isClusterName(name string) bool {
	return slices.Index(strings.Split(strings.TrimSuffix(name, "."), "."), "svc") >= 2
}

// withoutAliases leaves out ExternalName Services that only stand for another Service in the list: a second namespace's
// name for the same pods means those pods.
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
