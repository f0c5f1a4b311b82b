package recorder

import "github.com/netzero-dev/netzero/internal/endpoint"

// storeProgram is the executable of the database behind an API server.
const storeProgram = "etcd"

// findStores remembers at which ports of this machine an API server that the test runs has its database.
func (r *resolution) findStores() {
	r.stores = make(map[uint16]bool)
	for _, l := range r.observations {
		if r.isOfAPIServer(l) && l.identity.Local && l.identity.Listener.Name == storeProgram {
			r.stores[l.event.Port] = true
		}
	}
}

// isOfAPIServer reports whether an API server that the test runs opened a flow, as envtest starts one.
func (r *resolution) isOfAPIServer(l attributedFlow) bool {
	return l.from == nil && endpoint.IsAPIServerProgram(l.flow.Process.Name)
}

// controlPlane says which part of a control plane that the test runs a flow belongs to, and not to the workload; or
// "".
func (r *resolution) controlPlane(l attributedFlow) string {
	switch {
	case r.isOfAPIServer(l):
		return "the API server that the test runs"
	case l.identity.Local && l.identity.Listener.Name == storeProgram && r.stores[l.event.Port]:
		return "the database of the API server that the test runs"
	}
	return ""
}
