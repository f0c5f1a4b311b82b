package recorder

import (
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// tunnelNotices reports servers of the test process that a Peer names and that the tunnel of testcontainers' host
// access also connects to. The tunnel ends in the test process, so a connection to such a server may be the test's or
// the tunnel's. The two cannot be distinguished: a container's attempt counts even if the tunnel was not ready for it.
func (s *resolution) tunnelNotices(all []resolvedFlow) []recording.Notice {
	tunnels := make(map[uint16]bool) // ports of the test process that containers connected to
	for _, f := range s.flows {
		if f.from != nil && f.to != nil && s.owned[f.from.ID] && docker.Infrastructure(*f.to) == docker.HostAccess &&
			f.port != sshPort {
			tunnels[f.port] = true
		}
	}
	var unclear flow.Set
	ports := make(map[string]uint16) // by target
	for _, f := range all {
		fromTest := f.flow.Source.Identity() == s.source.Identity()
		if fromTest && f.identity.Local && f.identity.Peer.Exact() && tunnels[f.event.Key.Port] &&
			!s.options.Ignored.Has(f.flow) {
			unclear.Add(f.flow)
			ports[f.flow.Target()] = f.event.Key.Port
		}
	}
	var notices []recording.Notice
	for _, f := range unclear.Sorted() {
		notices = append(notices, recording.Noticef(recording.CodeHostAccess,
			"%s: testcontainers' host access also opens localhost:%d from the test process, for containers, and "+
				"cannot be distinguished from %s: if %s itself does not call %s, use Ignore(\"localhost:%d\")",
			f.Target(), ports[f.Target()], s.source.Name, s.source.Name, f.Destination.Name, f.Port))
	}
	return notices
}
