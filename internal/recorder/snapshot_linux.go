package recorder

import (
	"maps"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// snapshot is what the resolution of a recording needs from the recording and the recorder, at one moment.
type snapshot struct {
	options     Options
	id          string        // other test processes know the recording by it
	started     time.Duration // CLOCK_MONOTONIC
	ended       bool          // the test has ended
	source      flow.Endpoint // the test process
	identifier  *endpoint.Identifier
	lookups     map[lookupKey]*lookup
	overlapping map[string]bool // tests whose recordings overlapped

	self          int    // this process
	ownCgroup     uint64 // of this process and its children
	unseparated   string // why goroutines are not attributed to tests; empty if they are
	limits        []string
	searchDomains map[uint64]endpoint.Search // of the resolvers of cgroups

	// includes reports whether this recording includes the flows of another: its own, those of a subtest, or
	// unattributed ones.
	includes func(goroutine.ID) bool
	alone    bool // no other test is recorded now

	cgroups         map[uint64]containerCgroup
	attachments     map[string]attachment   // by container ID
	waits           map[string][]waitPeriod // for containers that were not passed to a recording, by ID
	olderContainers *olderContainers
	clientsAt       func(*startEvent) []engineClient // among this process and its descendants

	executablesLimit string // why the programs of processes that have ended are not known; empty if they are
}

// attachment is how the test attached a container to recordings.
type attachment struct {
	own    bool   // to this recording
	peer   bool   // to this recording, by AsPeer
	name   string // from this recording, otherwise from another; empty if none gave one
	older  bool   // it ran before the recorder, and is recorded since it was attached
	remote bool   // it runs on another kernel
	waits  []waitPeriod
}

// isAttached reports whether a container was passed to any recording.
func (s *snapshot) isAttached(id string) bool {
	_, attached := s.attachments[id]
	return attached
}

// snapshot returns the state of a recording. The caller holds Recorder.mu.
func (m *Recording) snapshot() snapshot {
	r := m.recorder
	s := snapshot{
		options: m.options, id: m.id, started: m.started, ended: m.ended, source: m.source, identifier: m.identifier,
		lookups: m.lookups, overlapping: m.overlapping,
		self: r.self, ownCgroup: r.session.Leaf.ID, unseparated: r.unseparated, limits: r.limits, searchDomains: r.searchDomains,
		includes: m.includesID, alone: len(r.recordings) == 1,
		cgroups: r.containers.cgroups, attachments: make(map[string]attachment), waits: r.containers.waits,
		olderContainers: &r.containers.older, clientsAt: r.containers.candidates,
	}
	for id, attached := range r.containers.attachments {
		name, own := attached.names[m]
		for _, other := range slices.Sorted(maps.Values(attached.names)) {
			if name == "" {
				name = other
			}
		}
		s.attachments[id] = attachment{
			own: own, peer: attached.peers[m], name: name, older: attached.older, remote: attached.remote, waits: attached.waits,
		}
	}
	if m.options.Binaries {
		_, s.executablesLimit = r.session.Executables()
	}
	return s
}
