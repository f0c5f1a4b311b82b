package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
)

// examplePort stands in the advice where only the user knows the port.
const examplePort = ":8080"

// ephemeralPeers returns an error for every Peer that would bring a port of this run into the golden file.
func (m *membership) ephemeralPeers() error {
	m.capture.mu.Lock()
	defer m.capture.mu.Unlock()
	var texts []string
	for _, s := range m.ephemeral() {
		if peer := s.identity.Peer; peer != (endpoint.Peer{}) {
			texts = append(texts, fmt.Sprintf("Peer(%q, %q): port %d is ephemeral and changes with every run: say at which port the real %s serves: Peer(…, %q)",
				peer, peer.Name, s.flow.Port, peer.Name, peer.Name+examplePort))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	slices.Sort(texts)
	return &optionError{slices.Compact(texts)}
}

// ephemeralNotices tells of servers without a Peer that listen at a port of this run. That is no error: the range of
// ephemeral ports has servers too that always ask for the same one. The caller holds capture.mu.
func (m *membership) ephemeralNotices() []string {
	var servers flow.Set
	for _, s := range m.ephemeral() {
		if s.identity.Peer == (endpoint.Peer{}) {
			servers.Add(s.flow)
		}
	}
	var notices []string
	for _, f := range servers.Sorted() {
		name := f.Destination.Name
		if f.Destination.Kind != flow.Workload {
			name = "name"
		}
		address := netip.AddrPortFrom(f.Destination.Addr, f.Port)
		notices = append(notices, fmt.Sprintf("%s: the port is ephemeral, so the golden changes with every run unless the server asks for this very port: "+
			"let it listen on a fixed port outside of the ephemeral range, or name it: Peer(%q, %q)",
			f.Target(), address, name+examplePort))
	}
	return notices
}

// ephemeral returns the sightings with a port of this run, less those that the user ignores. The caller holds
// capture.mu.
func (m *membership) ephemeral() []sighting {
	var found []sighting
	for _, s := range m.seen {
		if s.identity.Ephemeral && len(m.config.withoutIgnored([]Flow{s.flow})) > 0 {
			found = append(found, s)
		}
	}
	return found
}
