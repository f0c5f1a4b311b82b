package netzerotest

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// changing returns the flows to ports that change with every run, without those of a Peer, which is told of by itself.
func changing(c config, all []settled) []changingPort {
	var found []changingPort
	for _, s := range ephemeral(c, all) {
		if s.identity.Peer != (endpoint.Peer{}) {
			continue
		}
		p := changingPort{flow: s.flow, container: s.server, test: s.identity.Test}
		same := func(q changingPort) bool {
			return policyKeyOf(p.flow) == policyKeyOf(q.flow) && p.container == q.container
		}
		if !slices.ContainsFunc(found, same) {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b changingPort) int { return a.flow.Compare(b.flow) })
	return found
}

// isEphemeral reports whether the kernel may have chosen the port at which a container serves: it lies in the range
// of its network namespace, and neither it nor a container that shares its network exposes the port.
func (s *settling) isEphemeral(c docker.Container, f flow.Flow) bool {
	if !f.Protocol.HasPorts() {
		return false
	}
	pod := home(s.engine, c)
	switch {
	case s.engine.OnHostNetwork(c.ID):
		if !s.identifier.Ephemeral(f.Port) {
			return false
		}
	case !endpoint.EphemeralIn(pod.LocalPorts, f.Port):
		return false
	}
	return !slices.ContainsFunc(s.engine.Containers(), func(other docker.Container) bool {
		together := other.ID == c.ID || other.NetworkMode != "host" && home(s.engine, other).ID == pod.ID
		return together && other.Exposes(f.Port, f.Protocol)
	})
}

// describeServer names a container with its image, for a text.
func describeServer(c docker.Container) string {
	return strings.TrimSpace(c.Name + " (" + c.Image + ")")
}
