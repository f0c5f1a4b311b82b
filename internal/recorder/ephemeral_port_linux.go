package recorder

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPorts returns the flows to ports that change with every run, without those of a Peer, which is told of by itself.
func ephemeralPorts(options Options, all []attributedFlow) []recording.EphemeralPort {
	var found []recording.EphemeralPort
	for _, s := range ephemeralFlows(options, all) {
		if s.identity.Peer != (endpoint.Peer{}) {
			continue
		}
		p := recording.EphemeralPort{Flow: s.flow, Container: s.container, Test: s.identity.Test}
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

// isEphemeral reports whether the kernel may have chosen the port at which a container serves: it lies in the range
// of its network namespace, and neither it nor a container that shares its network exposes the port.
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

// describeServer names a container with its image, for a text.
func describeServer(c docker.Container) string {
	return strings.TrimSpace(c.Name + " (" + c.Image + ")")
}
