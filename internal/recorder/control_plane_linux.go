package recorder

import "github.com/netzero-dev/netzero/internal/endpoint"

// storeProgram is the executable of the database behind an API server.
const storeProgram = "etcd"

// findStores finds the local ports of the databases of API servers that the test runs.
func (s *resolution) findStores() {
	s.stores = make(map[uint16]bool)
	for _, f := range s.flows {
		if s.isFromAPIServer(f) && f.identity.Local && f.identity.Listener.Name == storeProgram {
			s.stores[f.event.Port] = true
		}
	}
}

// isFromAPIServer reports whether an API server that the test runs opened a flow. envtest runs one, for example.
func (s *resolution) isFromAPIServer(f resolvedFlow) bool {
	return f.from == nil && endpoint.IsAPIServerProgram(f.flow.Process.Name)
}

// controlPlane returns the part of a control plane of the test that a flow belongs to, or "" if it belongs to the
// workload.
func (s *resolution) controlPlane(f resolvedFlow) string {
	switch {
	case s.isFromAPIServer(f):
		return "the API server that the test runs"
	case f.identity.Local && f.identity.Listener.Name == storeProgram && s.stores[f.event.Port]:
		return "the database of the API server that the test runs"
	}
	return ""
}
