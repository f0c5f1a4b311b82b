package networkpolicy

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Required returns the flows in their order, followed by those that they imply. A workload that connects to a
// workload, a name, an address behind a name, or the resolver also looks names up: over UDP, and over TCP for answers
// that do not fit, at port 53 of an endpoint of kind Resolver. Tests that dial localhost make no DNS query, but their
// pods in the cluster do. A source that is not a workload implies nothing. Flows that no NetworkPolicy can express
// imply nothing, except lookups without an answer. An implied flow has a count of 0.
func Required(flows []flow.Flow) []flow.Flow {
	return policy.RequiredBy(flows, Dialect{}.inexpressible)
}

// Required returns the flows, followed by those that they imply; see the function [Required].
func (s Dialect) Required(flows []flow.Flow) []flow.Flow { return Required(flows) }

// inexpressible returns why no rule of a direction can allow a flow and no other, or "" if one can.
func (s Dialect) inexpressible(d policy.Direction, f flow.Flow) string {
	if f.Lookup {
		return policy.LookupHasNoPort
	}
	if why := s.inexpressibleKind(f); why != "" {
		return why
	}
	return s.Unnameable(d, d.PeerEnd(f))
}

// inexpressibleKind returns why no rule of the dialect can allow a flow between any ends, or "" if one may.
func (s Dialect) inexpressibleKind(f flow.Flow) string {
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	}
	return ""
}

func (s Dialect) otherFlows() policy.OtherFlows {
	return policy.OtherFlows{Scope: s.Scope, NoRule: s.inexpressibleKind, NoName: s.Unnameable}
}
