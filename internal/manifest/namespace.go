package manifest

import "maps"

// namespace is a Namespace, of which only the labels matter: namespace selectors ask for them.
type namespace struct {
	identity
	origin
	labels map[string]string
}

// Namespaces returns the labels of the namespaces that the manifests have, by their names, and nil where they have none.
// The label kubernetes.io/metadata.name, which the API server sets, is there only where a manifest writes it.
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
