package recorder

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPorts returns the flows to ports that change with every run. ephemeralPeers reports those of a Peer instead.
func ephemeralPorts(options Options, all []attributedFlow) []recording.EphemeralPort {
	var found []recording.EphemeralPort
	for _, f := range ephemeralFlows(options, all) {
		if f.identity.Peer != (endpoint.Peer{}) {
			continue
		}
		p := recording.EphemeralPort{Flow: f.flow, Container: f.container, Test: f.identity.Test}
		same := func(q recording.EphemeralPort) bool {
			return len(flow.Fold([]flow.Flow{p.Flow, q.Flow})) == 1 && p.Container == q.Container
		}
		if !slices.ContainsFunc(found, same) {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b recording.EphemeralPort) int { return a.Flow.Compare(b.Flow) })
	return found
}

// isEphemeral reports whether the kernel may have chosen the port at which a container serves: the port is in the local
// port range of its network namespace, and no container in that namespace exposes it.
func (r *resolution) isEphemeral(c docker.Container, f flow.Flow) bool {
	if !f.Protocol.HasPorts() {
		return false
	}
	pod := networkOwner(r.engine, c)
	switch {
	case r.engine.OnHostNetwork(c.ID):
		if !r.identifier.Ephemeral(f.Port) {
			return false
		}
	case !endpoint.EphemeralIn(pod.LocalPorts, f.Port):
		return false
	}
	return !slices.ContainsFunc(r.engine.Containers(), func(other docker.Container) bool {
		together := other.ID == c.ID || other.NetworkMode != "host" && networkOwner(r.engine, other).ID == pod.ID
		return together && other.Exposes(f.Port, f.Protocol)
	})
}

// describeServer returns the name and image of a container, for messages.
func describeServer(c docker.Container) string {
	return strings.TrimSpace(c.Name + " (" + c.Image + ")")
}
