package recorder

import "github.com/netzero-dev/netzero/internal/endpoint"

// storeProgram is the executable of the database behind an API server.
const storeProgram = "etcd"

// findStores finds the local ports of the databases of API servers that the test runs.
func (r *resolution) findStores() {
	r.stores = make(map[uint16]bool)
	for _, l := range r.observations {
		if r.isFromAPIServer(l) && l.identity.Local && l.identity.Listener.Name == storeProgram {
			r.stores[l.event.Port] = true
		}
	}
}

// isFromAPIServer reports whether an API server that the test runs opened a flow. envtest runs one, for example.
func (r *resolution) isFromAPIServer(l attributedFlow) bool {
	return l.from == nil && endpoint.IsAPIServerProgram(l.flow.Process.Name)
}

// controlPlane returns the part of a control plane of the test that a flow belongs to, or "" if it belongs to the
// workload.
func (r *resolution) controlPlane(l attributedFlow) string {
	switch {
	case r.isFromAPIServer(l):
		return "the API server that the test runs"
	case l.identity.Local && l.identity.Listener.Name == storeProgram && r.stores[l.event.Port]:
		return "the database of the API server that the test runs"
	}
	return ""
}
