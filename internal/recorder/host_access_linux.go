package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// tunnelNotices reports servers of the test process that a Peer names and that the tunnel of testcontainers' host
// access also connects to. The tunnel ends in the test process, so a connection to such a server may be the test's or
// the tunnel's. The two cannot be distinguished: a container's attempt counts even if the tunnel was not ready for it.
func (r *resolution) tunnelNotices(all []attributedFlow) []string {
	tunnels := make(map[uint16]bool) // ports of the test process that containers connected to
	for _, f := range r.observations {
		if f.from != nil && f.to != nil && r.owned[f.from.ID] && docker.Infrastructure(*f.to) == docker.HostAccess && f.port != sshPort {
			tunnels[f.port] = true
		}
	}
	var unclear flow.Set
	ports := make(map[string]uint16) // by target
	for _, f := range all {
		fromTest := f.flow.Source.Identity() == r.source.Identity()
		if fromTest && f.identity.Local && f.identity.Peer.Exact() && tunnels[f.event.Key.Port] && !r.options.Ignored.Has(f.flow) {
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
