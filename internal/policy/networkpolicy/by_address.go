package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// allByAddress returns flows so, and those to the resolver at each of its places.
func (s Dialect) allByAddress(flows []flow.Flow) []flow.Flow {
	return s.FlowsAtResolvers(policy.MapFlows(flows, s.ByAddress))
}
