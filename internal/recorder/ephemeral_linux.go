package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPeers returns an error text for each Peer that would bring a port of this run into the golden file.
func ephemeralPeers(options Options, all []attributedFlow) []string {
	var texts []string
	for _, f := range ephemeralFlows(options, all) {
		if peer := f.identity.Peer; peer != (endpoint.Peer{}) {
			texts = append(texts, fmt.Sprintf("Peer(%q, %q): port %d is ephemeral and changes with every run: say at which port the real %s serves: Peer(…, %q)",
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
func ephemeralFlows(options Options, all []attributedFlow) []attributedFlow {
	var found []attributedFlow
	for _, f := range all {
		if f.identity.Ephemeral && f.identity.Relation == endpoint.Other && !options.FixedPort(f.flow) && !options.Ignored.Has(f.flow) {
			found = append(found, f)
		}
	}
	return found
}
