package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// byAddress is [policy.Scope.ByAddress], except that the node needs no name.
func (c Dialect) byAddress(f flow.Flow) flow.Flow {
	g := c.Scope.ByAddress(f)
	if IsNode(f.Source) {
		g.Source = f.Source
	}
	if IsNode(f.Destination) {
		g.Destination = f.Destination
	}
	return g
}

func (c Dialect) allByAddress(flows []flow.Flow) []flow.Flow {
	return c.FlowsAtResolvers(policy.MapFlows(flows, c.byAddress))
}
