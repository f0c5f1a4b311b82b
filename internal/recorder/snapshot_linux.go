package recorder

import (
	"maps"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// snapshot is what the resolution of a recording needs from the recording and the recorder, at one moment. It is a
// copy: it shares nothing with them that changes.
type snapshot struct {
	options        Options
	id             string        // other test processes know the recording by it
	started        time.Duration // CLOCK_MONOTONIC
	ended          bool          // the test has ended
	source         flow.Endpoint // the test process
	identifier     *endpoint.Identifier
	observed       []observation // with the number of their connections
	lookups        map[lookupKey]lookup
	refusedLookups map[probe.RefusedQuestion]uint64
	overlapping    map[string]bool // tests whose recordings overlapped

	self          int    // this process
	ownCgroup     uint64 // of this process and its children
	unseparated   string // why goroutines are not attributed to tests; empty if they are
	limits        []recording.Notice
	searchDomains map[uint64]endpoint.Search // of the resolvers of cgroups

	notIncluded   map[goroutine.ID]bool // the recordings whose flows this one does not include
	onlyRecording bool                  // no other test is recorded now

	cgroups         map[uint64]containerCgroup
	attachments     map[string]attachment          // by container ID
	waits           map[string][]waitPeriod        // for containers that were not passed to a recording, by ID
	olderContainers map[string]error               // as olderContainers.recorded
	runs            containers.Runs                // of engine clients
	startEvents     map[string][]*containers.Start // by ID of the container

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

// isRecordedOlder reports whether a container is older than the recorder and is recorded, because this test process may
// have started it.
func (s *snapshot) isRecordedOlder(id string) bool {
	_, recorded := s.olderContainers[id]
	return recorded
}

// includes reports whether this recording includes the flows of another: its own, those of a subtest, or unattributed
// ones.
func (s *snapshot) includes(recording goroutine.ID) bool { return !s.notIncluded[recording] }

// snapshot returns the state of a recording, without observations and start events. The caller holds Recorder.mu.
func (rec *Recording) snapshot() snapshot {
	r := rec.recorder
	s := snapshot{
		options: rec.options, id: rec.id, started: rec.started, ended: rec.ended, source: rec.source,
		identifier: rec.identifier, lookups: make(map[lookupKey]lookup), overlapping: maps.Clone(rec.overlapping),
		self: r.attribution.self, ownCgroup: r.session.Leaf.ID, unseparated: r.attribution.unseparated,
		limits: r.limits, searchDomains: maps.Clone(r.correlation.searchDomains),
		notIncluded: make(map[goroutine.ID]bool), onlyRecording: len(r.attribution.recordings) == 1,
		cgroups: maps.Clone(r.containers.cgroups), attachments: make(map[string]attachment),
		waits:           make(map[string][]waitPeriod),
		olderContainers: r.containers.older.all(), runs: r.containers.runs.Clone(),
	}
	for k, l := range rec.lookups {
		s.lookups[k] = *l
	}
	for _, other := range r.attribution.recordings {
		s.notIncluded[other.goroutine] = other != rec && !rec.includes(other.test)
	}
	for id, waits := range r.containers.waits {
		s.waits[id] = slices.Clone(waits)
	}
	for id, attached := range r.containers.attachments {
		_, own := attached.names[rec]
		s.attachments[id] = attachment{
			own: own, peer: attached.peers[rec], name: attached.nameFor(rec), older: attached.older, remote: attached.remote,
			waits: slices.Clone(attached.waits),
		}
	}
	if rec.options.Binaries {
		_, s.executablesLimit = r.session.Executables()
	}
	return s
}
