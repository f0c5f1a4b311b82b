package manifest

import "slices"

// Object is a Service or a workload of the manifests.
type Object struct {
	Name, Namespace string
	Ports           []Port // of a Service, as its clients dial them
}

// Objects returns the Services and workloads, without those that a controller made.
func (s *Set) Objects() []Object {
	var all []Object
	for _, service := range s.services {
		o := Object{Name: service.name, Namespace: service.namespace}
		for _, p := range service.ports {
			o.Ports = append(o.Ports, Port{Name: p.name, Number: p.key.number, Protocol: p.key.protocol})
		}
		all = append(all, o)
	}
	for _, w := range s.workloads {
		isKnown := func(o Object) bool { return o.Name == w.name && o.Namespace == w.namespace }
		if w.owner == (identity{}) && !slices.ContainsFunc(all, isKnown) {
			all = append(all, Object{Name: w.name, Namespace: w.namespace})
		}
	}
	return all
}
