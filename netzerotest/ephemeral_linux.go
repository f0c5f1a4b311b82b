package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
)

// ephemeralPeers returns a text for every Peer that would bring a port of this run into the golden file.
func ephemeralPeers(c config, all []settled) []string {
	var texts []string
	for _, s := range ephemeral(c, all) {
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
	return examplePort
}

// ephemeralNotices tells of servers without a Peer that listen at a port of this run. That is no error: the range of
// ephemeral ports has servers too that always ask for the same one.
func ephemeralNotices(c config, all []settled) []string {
	var servers flow.Set
	ofTest := make(map[string]bool) // the targets that are the test process itself
	for _, s := range ephemeral(c, all) {
		if s.identity.Peer == (endpoint.Peer{}) {
			servers.Add(s.flow)
			ofTest[s.flow.Target()] = s.identity.Test
		}
	}
	var notices []string
	for _, f := range servers.Sorted() {
		name := f.Destination.Name
		if f.Destination.Kind != flow.Workload {
			name = "name"
		}
		address := netip.AddrPortFrom(f.Destination.Addr, f.Port).String()
		if ofTest[f.Target()] {
			address = fmt.Sprintf("localhost:%d", f.Port) // by whichever address containers reach it
		}
		notice := fmt.Sprintf("%s: the port is ephemeral, so the golden changes with every run unless the server asks for this very port: "+
			"let it listen on a fixed port outside of the ephemeral range, or name it: Peer(%q, %q)",
			f.Target(), address, name+examplePort)
		if !slices.Contains(notices, notice) {
			notices = append(notices, notice)
		}
	}
	return notices
}

// ephemeral returns the flows with a port of this run, less those that the user ignores.
func ephemeral(c config, all []settled) []settled {
	var found []settled
	for _, s := range all {
		if s.identity.Ephemeral && s.identity.Relation == endpoint.Other && len(c.withoutIgnored([]Flow{s.flow})) > 0 {
			found = append(found, s)
		}
	}
	return found
}
