package policy

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// AnyNamespace stands for the namespace of a caller that is in an unknown one; see [isFromAnywhere].
const AnyNamespace = "*"

// CallsFromAnyNamespace reports whether a caller may be in any namespace, as far as is known, while the subject is in a known one.
// Without a namespace in its rule Kubernetes would take the subject's, but the caller's own policy is applied to wherever
// the caller is. A destination without a namespace is another matter: its name is looked up in the caller's.
func CallsFromAnyNamespace(d Direction, caller, subject Workload) bool {
	return d == Ingress && caller.Namespace == "" && subject.Namespace != ""
}

// EndpointAddress returns an endpoint's address as an ipBlock can hold it: a zone means nothing outside of its host.
func EndpointAddress(e flow.Endpoint) netip.Addr { return e.Addr.Unmap().WithZone("") }
