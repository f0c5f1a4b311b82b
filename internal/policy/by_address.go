package policy

import (
	"fmt"
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
		v.Reason = fmt.Sprintf("no policy can hold the name \"%s\", so that its address counts: %s", f.Destination.Name, v.Reason)
	}
	return v
}
