package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// tunnelNotices tells of servers of the test process that are named by Peer, and that testcontainers' host access opens
// too: its tunnel ends in the test process, whose connections to such a server are the test's or the tunnel's. Nobody can tell
// which, as an attempt of a container that the tunnel was not ready for counts as one that it was.
func (r *resolution) tunnelNotices(all []attributedFlow) []string {
	tunnels := make(map[uint16]bool) // the ports of the test process that containers reached
	for _, l := range r.observations {
		if l.from != nil && l.to != nil && r.owned[l.from.ID] && docker.Infrastructure(*l.to) == docker.HostAccess && l.port != sshPort {
			tunnels[l.port] = true
		}
	}
	var unclear flow.Set
	ports := make(map[string]uint16) // by target
	for _, f := range all {
		own := f.flow.Source.Identity() == r.source.Identity()
		if own && f.identity.Local && f.identity.Peer.Exact() && tunnels[f.event.Key.Port] && !r.options.Ignored.Has(f.flow) {
			unclear.Add(f.flow)
			ports[f.flow.Target()] = f.event.Key.Port
		}
	}
	var notices []string
	for _, f := range unclear.Sorted() {
		notices = append(notices, fmt.Sprintf("%s: testcontainers' host access opens localhost:%d from the test process too, for its containers, and is not to be told from %s: "+
			"if %s itself does not call %s, Ignore(\"localhost:%d\")", f.Target(), ports[f.Target()], r.source.Name, r.source.Name, f.Destination.Name, f.Port))
	}
	return notices
}
