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
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recorder is the state that all recordings of this process share: one set of attached programs and one cgroup of its
// own. The first recording creates it and the last one closes it.
type Recorder struct {
	mu               sync.Mutex
	session          *session.Session // nil until it is open
	self             int              // this process
	unseparated      string           // why goroutines are not attributed to tests; empty if they are
	early            []probe.Event    // events that arrived before the session was open
	limits           []string         // notices: what is recorded less well on this machine
	recordings       []*Recording
	endedRecordings  map[goroutine.ID]*Recording // what tests opened after they had ended
	names            dns.Names
	containers       *containers
	failure          error // makes the recordings incomplete
	answerStreams    dns.Streams
	questionStreams  dns.Streams              // over TCP
	pendingQuestions map[pendingQuestion]bool // over TCP, without an answer so far
	droppedLookups   uint64                   // because the table was full
	listeners        listeners
	// flows with several candidate names
	ambiguous []*probe.FlowEvent
	// names that clients sent, by flow
	hints         map[probe.Key]*flowHints
	searchDomains map[uint64]endpoint.Search // of the resolvers, by cgroup
	// names that clients sent, by ServerNameKey.Hash
	serverNames map[uint64]serverName
	// connections that earlier recorders left open
	earlierConnections connections
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

	observations map[observationKey]observation // guarded by Recorder.mu
	// opened by the test's infrastructure; guarded by Recorder.mu
	infrastructure map[infrastructureKey]observation
	lookups        map[lookupKey]*lookup // guarded by Recorder.mu
	overlapping    map[string]bool       // tests whose recordings overlapped; guarded by Recorder.mu
}

// observationKey is the kernel's key of a flow plus one candidate name.
type observationKey struct {
	probe.Key
	name string
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

// lossCount is how much the kernel and the DNS readers have lost so far.
type lossCount struct {
	kernel    probe.Loss
	names     uint64 // that were dropped for newer ones
	streams   uint64 // of DNS over TCP with missing segments
	questions uint64 // that were not kept
}

var shared struct {
	sync.Mutex
	recorder    *Recorder
	connections connections // that the last recorder left open
}

// Join adds a recording to this process's recorder, and creates the recorder if there is none. Errors: *session.Error.
func Join(sizes probe.Sizes, options Options) (*Recording, error) {
	peers, err := endpoint.NewPeers(options.Peers...)
	if err != nil {
		return nil, err
	}
	shared.Lock()
	defer shared.Unlock()
	r := shared.recorder
	if r == nil {
		if r, err = newRecorder(sizes, options.Announce); err != nil {
			return nil, err
		}
	}
	m := newRecording(r, options, peers)
	if err := r.add(m); err != nil {
		if shared.recorder == nil {
			err = errors.Join(err, r.close())
		}
		return nil, err
	}
	shared.recorder = r
	m.markGoroutine()
	return m, nil
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
		source:         flow.Endpoint{Kind: flow.Workload, Name: options.Workload, Namespace: options.Namespace, Evidence: flow.ByOption},
		started:        now(),
		options:        options,
		observations:   make(map[observationKey]observation),
		lookups:        make(map[lookupKey]*lookup),
		overlapping:    make(map[string]bool),
		infrastructure: make(map[infrastructureKey]observation),
	}
}

func newRecorder(sizes probe.Sizes, announce func(string)) (*Recorder, error) {
	r := &Recorder{self: os.Getpid(), hints: make(map[probe.Key]*flowHints), earlierConnections: shared.connections}
	r.containers = newContainers(r.newGeneration)
	s, err := session.Open(sizes, r.handle, nil, r.trackCgroup)
	if err != nil {
		return nil, errors.Join(err, r.containers.close())
	}
	if err := r.watchOlderContainers(s); err != nil {
		return nil, errors.Join(err, s.Close(), r.containers.close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = s
	if who, why := s.Executables(); why != "" {
		r.limits = []string{fmt.Sprintf("executables are named by %s, which does not know those that have ended: %s", who, why)}
	}
	var children string
	if r.unseparated, children = s.AttributionGaps(); children != "" {
		r.limits = append(r.limits, "child processes of tests that run in parallel are not told apart: "+children)
	}
	for _, p := range s.Unclear {
		announce(fmt.Sprintf("process %d (%s) may have been started by this test before it was recorded, and is not recorded: "+
			"start it after Record, or leave it the test's environment", p.PID, p.Name))
	}
	r.handleEvents(r.early)
	r.early = nil
	return r, nil
}

// add starts a recording: it gets the flows that are opened from now on.
func (r *Recorder) add(m *Recording) (err error) {
	if m.lostBefore, err = r.lossCount(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.generation, err = r.session.Probe.NextGeneration(); err != nil {
		return err
	}
	if err := r.session.Probe.SetConcurrent(len(r.recordings) > 0); err != nil {
		return err
	}
	for _, other := range r.recordings {
		if !m.includes(other.test) && !other.includes(m.test) {
			m.overlapping[other.test], other.overlapping[m.test] = true, true
		}
	}
	r.recordings = append(r.recordings, m)
	return nil
}

// includes reports whether this recording also gets the flows of a test.
func (m *Recording) includes(test string) bool { return m.isPackage || includes(m.test, test) }

// newGeneration makes the kernel report every flow again, because an address has a new meaning.
func (r *Recorder) newGeneration() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil && len(r.recordings) > 0 {
		_, err := r.session.Probe.NextGeneration()
		r.fail(err)
	}
}

// Close ends a recording. The last one closes the recorder.
func (m *Recording) Close() error {
	shared.Lock()
	defer shared.Unlock()
	r := m.recorder
	r.mu.Lock()
	if !m.isPackage {
		endedByID.Store(m.goroutine, m.end())
	}
	r.recordings = slices.DeleteFunc(r.recordings, func(other *Recording) bool { return other == m })
	last := len(r.recordings) == 0
	r.fail(r.session.Probe.SetConcurrent(len(r.recordings) > 1))
	r.mu.Unlock()
	if !last {
		return nil
	}
	shared.recorder = nil
	shared.connections = r.openConnections()
	return r.close()
}

// Unrecorded calls do if no recording would see it, and lets no recording of this process start meanwhile. A parent
// process may record at the same time, as a fuzzing coordinator does.
func Unrecorded(do func()) {
	shared.Lock()
	defer shared.Unlock()
	if shared.recorder == nil && !cgroup.InLeaf() {
		do()
	}
}

func (r *Recorder) close() error {
	r.containers.startEvents.end()
	return errors.Join(r.session.Close(), r.containers.close())
}

// Check returns an error if no golden file may be written from the recording: a *probe.LossError if the kernel lost
// something since the recording started, and an error if anything else makes it incomplete.
func (m *Recording) Check() error {
	m.recorder.mu.Lock()
	failure := m.recorder.failure
	m.recorder.mu.Unlock()
	if err := errors.Join(failure, m.recorder.session.Leaf.Check()); err != nil {
		return fmt.Errorf("the recording is incomplete: %w", err)
	}
	after, err := m.recorder.lossCount()
	if err != nil {
		return err
	}
	return after.since(m.lostBefore)
}

// since returns an error that names everything that was lost since an earlier count, with the remedies.
func (l lossCount) since(earlier lossCount) error {
	var errs []error
	if lost := l.kernel.Minus(earlier.kernel); lost != (probe.Loss{}) {
		errs = append(errs, &probe.LossError{Loss: lost})
	}
	if n := l.names - earlier.names; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d names gave way to newer ones: %d are kept, of all that DNS answered to the tests of this process and their containers: "+
			"look fewer up, or run the tests in several processes (go test -run)", n, dns.MaxNames))
	}
	if n := l.questions - earlier.questions; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d DNS questions could not be kept: "+
			"look fewer names up, or run the tests in several processes (go test -run)", n))
	}
	if n := l.streams - earlier.streams; n > 0 { // segments that were missing at the earlier count may have arrived since
		errs = append(errs, fmt.Errorf("the recording is incomplete: DNS questions or answers over %d TCP connections could not be put together: "+
			"segments were missing, or more than %d connections were in the middle of an answer: run the test again, with fewer at once (go test -parallel)", n, dns.MaxStreams))
	}
	return errors.Join(errs...)
}

func (r *Recorder) lossCount() (lossCount, error) {
	kernel, err := r.session.Probe.Lost()
	r.mu.Lock()
	defer r.mu.Unlock()
	return lossCount{kernel, r.names.Overflowed(), r.answerStreams.Dropped(), r.droppedLookups}, err
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
func (m *Recording) ID() goroutine.ID { return m.goroutine }
