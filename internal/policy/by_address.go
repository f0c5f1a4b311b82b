package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ByAddress returns a flow with each end replaced by its address if neither a rule nor a list can hold the end's
// name. A flow over TCP or UDP always has an address.
func (s Scope) ByAddress(f flow.Flow) flow.Flow {
	if !f.Lookup {
		f.Source, f.Destination = s.endByAddress(f.Source), s.endByAddress(f.Destination)
	}
	return f
}

func (s Scope) endByAddress(e flow.Endpoint) flow.Endpoint {
	switch {
	case !e.Addr.IsValid():
		return e
	case e.Kind == flow.External && !IsHost(e.Name):
	case e.Kind == flow.Workload && s.unselectable(e) != "":
		if _, isSubject := s.SubjectOf(e); isSubject {
			return e
		}
	default:
		return e
	}
	return flow.Endpoint{Kind: flow.Address, Addr: e.Addr, Evidence: e.Evidence}
}

// MapFlows returns the flows, each passed through change.
func MapFlows(flows []flow.Flow, change func(flow.Flow) flow.Flow) []flow.Flow {
	flows = slices.Clone(flows)
	for i, f := range flows {
		flows[i] = change(f)
	}
	return flows
}

// ExplainAddress adds to a denial why the destination's address, and not its name, was evaluated.
func ExplainAddress(v Verdict, f, evaluated flow.Flow) Verdict {
	if v.Outcome == Denied && f.Destination.Kind != evaluated.Destination.Kind {
		v.Reason = fmt.Sprintf("no policy can hold the name \"%s\", so its address is used: %s",
			f.Destination.Name, v.Reason)
	}
	return v
}

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
