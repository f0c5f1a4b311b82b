package manifest

import "maps"

// namespace is a Namespace. Only its labels matter: namespace selectors match them.
type namespace struct {
	identity
	origin
	labels map[string]string
}

// Namespaces returns the labels of the manifests' namespaces by name; nil if there are none. It contains the label
// kubernetes.io/metadata.name, which the API server sets, only if a manifest does.
func (s *Set) Namespaces() map[string]map[string]string {
	var all map[string]map[string]string
	for _, n := range s.namespaces {
		if all == nil {
			all = make(map[string]map[string]string)
		}
		all[n.name] = maps.Clone(n.labels)
	}
	return all
}
