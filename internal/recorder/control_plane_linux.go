package recorder

import "github.com/netzero-dev/netzero/internal/endpoint"

// storeProgram is the executable of the database behind an API server.
const storeProgram = "etcd"

// findStores finds the local ports of the databases of API servers that the test runs.
func (r *resolution) findStores() {
	r.stores = make(map[uint16]bool)
	for _, f := range r.observations {
		if r.isFromAPIServer(f) && f.identity.Local && f.identity.Listener.Name == storeProgram {
			r.stores[f.event.Port] = true
		}
	}
}

// isFromAPIServer reports whether an API server that the test runs opened a flow. envtest runs one, for example.
func (r *resolution) isFromAPIServer(f attributedFlow) bool {
	return f.from == nil && endpoint.IsAPIServerProgram(f.flow.Process.Name)
}

// controlPlane returns the part of a control plane of the test that a flow belongs to, or "" if it belongs to the
// workload.
func (r *resolution) controlPlane(f attributedFlow) string {
	switch {
	case r.isFromAPIServer(f):
		return "the API server that the test runs"
	case f.identity.Local && f.identity.Listener.Name == storeProgram && r.stores[f.event.Port]:
		return "the database of the API server that the test runs"
	}
	return ""
}
