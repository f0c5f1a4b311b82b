package recorder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPeers returns an error text for each Peer that would bring a port of this run into the golden file.
func ephemeralPeers(options Options, all []resolvedFlow) []string {
	var texts []string
	for _, f := range ephemeralFlows(options, all) {
		if peer := f.identity.Peer; peer != (endpoint.Peer{}) {
			texts = append(texts,
				fmt.Sprintf("Peer(%q, %q): port %d is ephemeral and changes with every run: say at which port the real %s "+
					"serves: Peer(…, %q)",
					peer, peer.Name, f.flow.Port, peer.Name, peer.Name+portOf(f.flow.Destination)))
		}
	}
	return texts
}

// portOf returns an example port for a message: one at which a destination may serve.
func portOf(e flow.Endpoint) string {
	if e.Kind == flow.External {
		return ":443"
	}
	return endpoint.ExamplePort
}

// ephemeralFlows returns the flows with a port of this run, without those that the user ignores or fixes the port of.
func ephemeralFlows(options Options, all []resolvedFlow) []resolvedFlow {
	var found []resolvedFlow
	for _, f := range all {
		if f.identity.Ephemeral && f.identity.Relation == endpoint.Other && !options.FixedPort(f.flow) &&
			!options.Ignored.Has(f.flow) {
			found = append(found, f)
		}
	}
	return found
}

// ephemeralPorts returns the flows to ports that change with every run. ephemeralPeers reports those of a Peer instead.
func ephemeralPorts(options Options, all []resolvedFlow) []recording.EphemeralPort {
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

// describeServer returns the name and image of a container, for messages.
func describeServer(c docker.Container) string {
	return strings.TrimSpace(c.Name + " (" + c.Image + ")")
}
