package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// allByAddress returns the flows as [policy.Scope.ByAddress] does, with each flow to the resolver repeated for each
// of its places.
func (d Dialect) allByAddress(flows []flow.Flow) []flow.Flow {
	return d.FlowsAtResolvers(policy.MapFlows(flows, d.ByAddress))
}
