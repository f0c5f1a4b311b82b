package recorder

import (
	"maps"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// snapshot is what the resolution of a recording needs to know of it and of the recorder, at one moment.
type snapshot struct {
	options     Options
	id          string        // by which other test processes know the recording
	started     time.Duration // CLOCK_MONOTONIC
	ended       bool          // its test has ended
	source      flow.Endpoint // the test process
	identifier  *endpoint.Identifier
	lookups     map[lookupKey]*lookup
	overlapping map[string]bool // tests whose recordings overlapped

	self          int    // this process
	ownCgroup     uint64 // of this process and its children
	unseparated   string // why goroutines are not attributed to tests; empty if they are
	limits        []string
	searchDomains map[uint64]endpoint.Search // of the resolvers of cgroups

	// includes reports whether what another recording opens is in this one too: its own, that of a subtest, or what is
	// attributed to none.
	includes func(goroutine.ID) bool
	alone    bool // no other test is recorded now

	cgroups         map[uint64]containerCgroup
	attachments     map[string]attachment   // by container ID
	waits           map[string][]waitPeriod // for containers that were not passed to a recording, by ID
	olderContainers *olderContainers
	clientsAt       func(*startEvent) []engineClient // those that descend from the test process

	executablesLimit string // why the programs of processes that have ended are not known; empty if they are
}

// attachment is what the test said of a container by passing it to recordings.
type attachment struct {
	own    bool   // it was passed to this recording
	peer   bool   // to AsPeer of this recording
	name   string // that this recording gave it, else another one; empty if none did
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
	c := m.recorder
	s := snapshot{
		options: m.options, id: m.id, started: m.started, ended: m.ended, source: m.source, identifier: m.identifier,
		lookups: m.lookups, overlapping: m.overlapping,
		self: c.self, ownCgroup: c.session.Leaf.ID, unseparated: c.unseparated, limits: c.limits, searchDomains: c.searchDomains,
		includes: m.includesID, alone: len(c.members) == 1,
		cgroups: c.containers.cgroups, attachments: make(map[string]attachment), waits: c.containers.waits,
		olderContainers: &c.containers.older, clientsAt: c.containers.candidates,
	}
	for id, claim := range c.containers.attachments {
		name, own := claim.names[m]
		for _, other := range slices.Sorted(maps.Values(claim.names)) {
			if name == "" {
				name = other
			}
		}
		s.attachments[id] = attachment{
			own: own, peer: claim.peers[m], name: name, older: claim.older, remote: claim.remote, waits: claim.waits,
		}
	}
	if m.options.Binaries {
		_, s.executablesLimit = c.session.Executables()
	}
	return s
}
