package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// isBeyondSelectors reports whether the peer end of flows in a direction is in or next to the cluster and no pod
// selector matches it. The API server as a caller is not recorded.
func isBeyondSelectors(d policy.Direction, e flow.Endpoint) bool {
	return d == policy.Egress && policy.IsAPIServer(e) || policy.UsesHostNetwork(e)
}

// needsEveryRule reports whether any rule may match a flow in a direction, so that the index cannot narrow them down.
func needsEveryRule(d policy.Direction, f flow.Flow) bool {
	return f.Destination.Kind == flow.Resolver || isBeyondSelectors(d, d.PeerEnd(f))
}
