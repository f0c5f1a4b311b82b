package networkpolicy

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Required returns the flows, in their order, and behind them those that they imply: a source that talks to a
// workload, a name, an address that a name stands for, or the resolver also looks names up, over UDP and, where an answer does not fit, over TCP, at port
// 53 of an endpoint of the kind Resolver. A source that is no workload implies nothing. Tests that dial localhost do not do so, their pods in the cluster do.
// An implied flow has a count of 0. Flows that no NetworkPolicy can express imply nothing, but look-ups without an answer do.
func Required(flows []flow.Flow) []flow.Flow {
	return policy.RequiredBy(flows, Dialect{}.inexpressible)
}

// Required returns the flows and those that they imply; see the function of that name.
func (s Dialect) Required(flows []flow.Flow) []flow.Flow { return Required(flows) }

// inexpressible says why no rule of a direction can allow a flow and no other, or returns "" if one can.
func (s Dialect) inexpressible(d policy.Direction, f flow.Flow) string {
	if f.Lookup {
		return policy.LookupHasNoPort
	}
	if why := s.wordless(f); why != "" {
		return why
	}
	return s.Unnameable(d, d.PeerEnd(f))
}

// wordless says why no rule of the dialect is for a flow, whatever its ends are, or returns "" if one may be.
func (s Dialect) wordless(f flow.Flow) string {
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	}
	return ""
}

func (s Dialect) otherWords() policy.OtherFlows {
	return policy.OtherFlows{Scope: s.Scope, NoRule: s.wordless, NoName: s.Unnameable}
}
