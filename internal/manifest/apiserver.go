package manifest

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// APIServer returns the addresses of the API server from the Endpoints and EndpointSlices of Service kubernetes in
// namespace default, sorted; none if there are none. An object without a namespace counts unless others name that
// namespace.
func (s *Set) APIServer() []Address {
	service := func(namespace string) *service {
		return &service{identity: identity{"Service", flow.ClusterAPIServer.Name, namespace}}
	}
	var m Match
	for _, namespace := range []string{flow.ClusterAPIServer.Namespace, ""} {
		if s.addAddresses(&m, service(namespace)); len(m.Addresses) > 0 {
			break
		}
	}
	return slices.DeleteFunc(m.Addresses, func(a Address) bool { return a.Port != 0 && a.Protocol != flow.TCP })
}

// IsAPIServer reports whether a match is Service kubernetes, which every cluster has: without a selector, in namespace
// default or without a written one.
func (m Match) IsAPIServer() bool {
	return m.Kind == "Service" && m.Name == flow.ClusterAPIServer.Name && len(m.Selector) == 0 &&
		m.ExternalName == "" &&
		(m.Namespace == "" || m.Namespace == flow.ClusterAPIServer.Namespace)
}
