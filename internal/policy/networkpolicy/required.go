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
func (Dialect) Required(flows []flow.Flow) []flow.Flow {
	return policy.RequiredBy(flows, Dialect{}.inexpressible)
}

// inexpressible returns why no rule of a direction can allow a flow and no other, or "" if one can.
func (d Dialect) inexpressible(direction policy.Direction, f flow.Flow) string {
	if f.Lookup {
		return policy.LookupHasNoPort
	}
	if why := d.inexpressibleKind(f); why != "" {
		return why
	}
	return d.Unnameable(direction, direction.PeerEnd(f))
}

// inexpressibleKind returns why no rule of the dialect can allow a flow between any ends, or "" if one may.
func (d Dialect) inexpressibleKind(f flow.Flow) string {
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, not %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	}
	return ""
}

func (d Dialect) otherFlows() policy.OtherFlows {
	return policy.OtherFlows{Scope: d.Scope, NoRule: d.inexpressibleKind, NoName: d.Unnameable}
}
