package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPeers returns a text for every Peer that would bring a port of this run into the golden file.
func ephemeralPeers(options Options, all []attributedFlow) []string {
	var texts []string
	for _, s := range ephemeralFlows(options, all) {
		if peer := s.identity.Peer; peer != (endpoint.Peer{}) {
			texts = append(texts, fmt.Sprintf("Peer(%q, %q): port %d is ephemeral and changes with every run: say at which port the real %s serves: Peer(…, %q)",
				peer, peer.Name, s.flow.Port, peer.Name, peer.Name+portOf(s.flow.Destination)))
		}
	}
	return texts
}

// portOf returns a port for advice, such as one at which a destination may well serve.
func portOf(e flow.Endpoint) string {
	if e.Kind == flow.External {
		return ":443"
	}
	return endpoint.ExamplePort
}

// ephemeralFlows returns the flows with a port of this run, less those that the user ignores or has named the port of.
func ephemeralFlows(options Options, all []attributedFlow) []attributedFlow {
	var found []attributedFlow
	for _, s := range all {
		if s.identity.Ephemeral && s.identity.Relation == endpoint.Other && !options.FixedPort(s.flow) && !options.Ignored.Has(s.flow) {
			found = append(found, s)
		}
	}
	return found
}
