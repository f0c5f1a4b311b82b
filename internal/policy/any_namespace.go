package policy

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// AnyNamespace stands for the unknown namespace of a caller; see [CallsFromAnyNamespace].
const AnyNamespace = "*"

// CallsFromAnyNamespace reports whether the caller's namespace is unknown while the subject's is known. Kubernetes
// would read a rule without a namespace as the subject's own namespace, but the caller's policy is applied in the
// caller's namespace. A destination without a namespace is different: DNS looks its name up in the caller's
// namespace.
func CallsFromAnyNamespace(d Direction, caller, subject Workload) bool {
	return d == Ingress && caller.Namespace == "" && subject.Namespace != ""
}

// EndpointAddress returns an endpoint's address in the form of an ipBlock: without a zone, which has no meaning
// outside of its host.
func EndpointAddress(e flow.Endpoint) netip.Addr { return e.Addr.Unmap().WithZone("") }
