package recorder

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recorder is the state that all recordings of this process share: one set of attached programs and one cgroup of its
// own. The first recording creates it. After the last one it is idle, for the next one, or closed.
type Recorder struct {
	sizes    probe.Sizes
	announce func(string) // Options.Announce of the first recording

	mu      sync.Mutex
	session *session.Session   // nil until it is open
	early   []probe.Event      // events that arrived before the session was open
	limits  []recording.Notice // what is recorded less well on this machine
	failure error              // makes the recordings incomplete

	attribution attribution
	correlation correlation
	containers  *containerState
	listeners   listeners
	enforcement *enforcement
	requests    requestReader

	endedRecordings    map[goroutine.ID]*Recording // what tests opened after they had ended
	earlierConnections connections                 // that earlier recorders left open
	droppedLookups     uint64                      // because a recording kept too many
	seen               seenEvents
}

// Recording is one recording in the recorder: a test's, or a package's.
type Recording struct {
	recorder   *Recorder
	id         string // other test processes know the recording by it
	goroutine  goroutine.ID
	labels     uint64              // goroutine.Labels of the test's goroutine
	unmark     func() goroutine.ID // nil if goroutines are not attributed
	test       string              // name of the test
	isPackage  bool                // it records a whole package
	ended      bool                // the test has ended
	identifier *endpoint.Identifier
	source     flow.Endpoint
	generation uint32        // the first generation that is recorded
	started    time.Duration // CLOCK_MONOTONIC
	lostBefore lossCount
	options    Options

	observations observations // guarded by Recorder.mu
	// opened by the test's infrastructure; guarded by Recorder.mu
	infrastructure map[infrastructureKey]observation
	lookups        map[lookupKey]*lookup // guarded by Recorder.mu
	overlapping    map[string]bool       // tests whose recordings overlapped; guarded by Recorder.mu
}

// observation is a flow as it was last observed, and what its destination is to the workload. flow.Count has the
// connections that the kernel counted and then dropped; resolve adds those that it counts now. Containers are resolved
// when the test has ended.
type observation struct {
	event              *probe.FlowEvent
	name               string   // one candidate: the client sent it or looked it up
	sentNames          []string // names that clients sent and that resolve to this observation
	lookedUpNames      []string // names that DNS was queried for
	flow               flow.Flow
	identity           endpoint.Identity
	unattributed       unattributed
	isUnnamed          bool     // opened before the recording, and no lookup of a name was seen
	listenerContainers []string // IDs of the containers of the listening process, outermost first

	infrastructure string // the part of the test's infrastructure that opened it, if any
}

var shared struct {
	sync.Mutex
	recorder    *Recorder   // nil if nothing is recorded
	idle        *Recorder   // nil if there is none
	connections connections // that the last recorder left open
}

// Join adds a recording to this process's recorder. If there is none, it resumes an idle one, or creates one. Errors:
// *session.Error, and [*EnforceError].
func Join(sizes probe.Sizes, options Options) (*Recording, error) {
	peers, err := endpoint.NewPeers(options.Peers...)
	if err != nil {
		return nil, err
	}
	shared.Lock()
	defer shared.Unlock()
	r := shared.recorder
	if r == nil {
		if r, err = resumed(sizes); err != nil {
			return nil, err
		}
	}
	if r == nil {
		if r, err = newRecorder(sizes, options.Announce); err != nil {
			return nil, err
		}
	}
	rec := newRecording(r, options, peers)
	if err := r.start(rec); err != nil {
		if shared.recorder == nil {
			err = errors.Join(err, r.close())
		}
		return nil, err
	}
	shared.recorder = r
	rec.markGoroutine()
	return rec, nil
}

// start adds a recording and enforces its policy.
func (r *Recorder) start(rec *Recording) error {
	if err := r.enforcement.admit(rec, r.active()); err != nil {
		return err
	}
	if err := r.enableRequests(rec); err != nil {
		return err
	}
	if err := r.add(rec); err != nil {
		return err
	}
	if err := r.enforcement.begin(rec, r.active()); err != nil {
		r.remove(rec)
		return err
	}
	return nil
}

// active returns the active recordings.
func (r *Recorder) active() []*Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.attribution.recordings)
}

func newRecording(r *Recorder, options Options, peers endpoint.Peers) *Recording {
	return &Recording{
		recorder:  r,
		id:        newRecordingID(),
		goroutine: goroutine.NewID(),
		test:      options.Test,
		isPackage: options.Package,
		identifier: endpoint.New(endpoint.Config{
			Self: os.Getpid(), Peers: peers, Workload: options.Workload, ClusterDomains: options.ClusterDomains,
		}),
		source: flow.Endpoint{
			Kind: flow.Workload, Name: options.Workload, Namespace: options.Namespace, Evidence: flow.ByOption,
		},
		started:        now(),
		options:        options,
		observations:   make(observations),
		lookups:        make(map[lookupKey]*lookup),
		overlapping:    make(map[string]bool),
		infrastructure: make(map[infrastructureKey]observation),
	}
}

func newRecorder(sizes probe.Sizes, announce func(string)) (*Recorder, error) {
	r := &Recorder{
		sizes: sizes, announce: announce, attribution: attribution{self: os.Getpid()}, earlierConnections: shared.connections,
	}
	r.enforcement = newEnforcement(r)
	r.containers = newContainerState(r.newGeneration, r.refreshEnforcement)
	s, err := session.Open(sizes, probe.Handler{
		Forget: r.isOpenedByWaitStrategy, Unrelated: r.checkNewCgroup, Mkdir: r.findStartClients, Enter: r.findCommandClients,
		Handle: r.handle, Stream: r.requests.handle,
	}, nil)
	if err != nil {
		return nil, errors.Join(err, r.containers.close())
	}
	if err := r.watchOlderContainers(s); err != nil {
		return nil, errors.Join(err, s.Close(), r.containers.close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = s
	r.attribution.ownCgroup = s.Leaf.ID
	if who, why := s.Executables(); why != "" {
		r.limits = []recording.Notice{recording.Noticef(recording.CodeExecutableNames,
			"executables are named by %s, which does not know those that have ended: %s", who, why)}
	}
	var children string
	if r.attribution.unseparated, children = s.AttributionGaps(); children != "" {
		r.limits = append(r.limits, recording.Noticef(recording.CodeChildProcesses,
			"child processes of tests that run in parallel cannot be distinguished: %s", children))
	}
	r.enforcement.open(s, r.attribution.unseparated)
	for _, p := range s.Unclear {
		announce(fmt.Sprintf("process %d (%s) may have been started by this test before it was recorded, and is not "+
			"recorded: start it after Record, or keep the test's environment in it", p.PID, p.Name))
	}
	r.handleEvents(r.early)
	r.early = nil
	return r, nil
}

// add starts a recording: it gets the flows that are opened from now on.
func (r *Recorder) add(rec *Recording) (err error) {
	if rec.lostBefore, err = r.lossCount(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.generation, err = r.session.Probe.NextGeneration(); err != nil {
		return err
	}
	if err := r.session.Probe.SetConcurrent(len(r.attribution.recordings) > 0); err != nil {
		return err
	}
	for _, other := range r.attribution.recordings {
		if !rec.includes(other.test) && !other.includes(rec.test) {
			rec.overlapping[other.test], other.overlapping[rec.test] = true, true
		}
	}
	r.attribution.recordings = append(r.attribution.recordings, rec)
	return nil
}

// includes reports whether this recording also gets the flows of a test.
func (rec *Recording) includes(test string) bool { return rec.isPackage || includes(rec.test, test) }

// newGeneration makes the kernel report every flow again, because an address has a new meaning.
func (r *Recorder) newGeneration() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil && len(r.attribution.recordings) > 0 {
		_, err := r.session.Probe.NextGeneration()
		r.fail(err)
	}
}

// Close ends a recording. After the last one the recorder is idle or closed.
func (rec *Recording) Close() error {
	shared.Lock()
	defer shared.Unlock()
	r := rec.recorder
	r.mu.Lock()
	if !rec.isPackage {
		endedByID.Store(rec.goroutine, rec.end())
	}
	r.mu.Unlock()
	r.remove(rec)
	active := r.active()
	err := r.enforcement.end(rec, active)
	if len(active) > 0 {
		return err
	}
	shared.recorder = nil
	shared.connections = r.openConnections()
	if err == nil && rec.options.AtEnd != nil && r.pause() {
		shared.idle = r
		rec.options.AtEnd(closeIdle)
		return nil
	}
	return errors.Join(err, r.close())
}

// remove ends a recording: it gets no more flows.
func (r *Recorder) remove(rec *Recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attribution.recordings = without(r.attribution.recordings, rec)
	r.fail(r.session.Probe.SetConcurrent(len(r.attribution.recordings) > 1))
}

// Unrecorded calls do if no recording would see it, and lets no recording of this process start meanwhile. A parent
// process may record at the same time, as a fuzzing coordinator does.
func Unrecorded(do func()) {
	closeIdle() // its programs would see what do opens
	shared.Lock()
	defer shared.Unlock()
	if shared.recorder == nil && shared.idle == nil && !cgroup.InLeaf() {
		do()
	}
}

func (r *Recorder) close() error {
	r.containers.startEvents.end()
	r.enforcement.close()
	err := errors.Join(r.session.Close(), r.containers.close())
	r.requests.close() // after the session, which feeds it
	return err
}

// Check returns an error if no golden file may be written from the recording: a [*recording.LossError] if events were
// lost since the recording started, and an error if anything else makes it incomplete.
func (rec *Recording) Check() error {
	rec.recorder.mu.Lock()
	failure := rec.recorder.failure
	rec.recorder.mu.Unlock()
	if err := errors.Join(failure, rec.recorder.session.Leaf.Check()); err != nil {
		return fmt.Errorf("the recording is incomplete: %w", err)
	}
	after, err := rec.recorder.lossCount()
	if err != nil {
		return err
	}
	return after.since(rec.lostBefore)
}

// fail records an error that makes the recordings incomplete. The caller holds mu.
func (r *Recorder) fail(err error) {
	if err != nil {
		r.failure = errors.Join(r.failure, err)
	}
}

// now returns CLOCK_MONOTONIC, the clock of the kernel's events.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}

// ID identifies the recording in this process.
func (rec *Recording) ID() goroutine.ID { return rec.goroutine }
