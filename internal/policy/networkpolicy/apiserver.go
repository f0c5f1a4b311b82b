package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// isBeyondSelectors reports whether the far end of flows in a direction is in the cluster, or next to it, and no
// selector of pods finds it. Who the API server calls is not recorded.
func isBeyondSelectors(d policy.Direction, e flow.Endpoint) bool {
	return d == policy.Egress && policy.IsAPIServer(e) || policy.UsesHostNetwork(e)
}

// needsEveryRule reports whether any rule may be for a flow in a direction, so that no index finds those that are.
func needsEveryRule(d policy.Direction, f flow.Flow) bool {
	return f.Destination.Kind == flow.Resolver || isBeyondSelectors(d, d.PeerEnd(f))
}
