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

// Recorder is what the recordings of this process share: one set of attached programs and one leaf cgroup. The first
// recording makes it and the last one ends it.
type Recorder struct {
	mu               sync.Mutex
	session          *session.Session // nil while it is being opened
	self             int              // this process
	unseparated      string           // why recordings that overlap are not told apart, or ""
	early            []probe.Event    // that came until then
	limits           []string         // what is recorded less well than elsewhere, as notices
	members          []*Recording
	endedRecordings  map[goroutine.ID]*Recording // recordings that are over, with what was opened since then
	names            dns.Names
	containers       *containers
	failure          error // what makes the recordings incomplete
	answerStreams    dns.Streams
	questionStreams  dns.Streams              // questions over TCP
	pendingQuestions map[pendingQuestion]bool // of these, which wait for their answers
	droppedLookups   uint64                   // look-ups for which there was no room
	listeners        listeners
	// flows for which several names may be meant
	ambiguous []*probe.FlowEvent
	// of flows for which no name was asked, or one of several
	hints         map[probe.Key]*flowHints
	searchDomains map[uint64]endpoint.Search // of the resolvers of cgroups, by their ids
	// what clients name their servers by, by ServerNameKey.Hash
	serverNames map[uint64]serverName
	// open connections of earlier recorders
	earlierConnections connections
}

// Recording is one recording's part in the recorder.
type Recording struct {
	recorder   *Recorder
	id         string // by which other test processes know it
	goroutine  goroutine.ID
	labels     uint64              // goroutine.Labels of the test's goroutine
	unmark     func() goroutine.ID // nil where goroutines are not told apart
	test       string              // the test's
	isPackage  bool                // it is the package's
	ended      bool                // its test has ended
	identifier *endpoint.Identifier
	source     flow.Endpoint
	generation uint32        // flows from this one on are its
	started    time.Duration // CLOCK_MONOTONIC
	lostBefore lossCount
	options    Options

	observations map[observationKey]observation // guarded by Recorder.mu
	// what the test's machinery opened; guarded by Recorder.mu
	infrastructure map[infrastructureKey]observation
	lookups        map[lookupKey]*lookup // guarded by Recorder.mu
	overlapping    map[string]bool       // tests whose recordings overlapped; guarded by Recorder.mu
}

// observationKey is a flow to the kernel, under one of the names that may be meant.
type observationKey struct {
	probe.Key
	name string
}

// observation is a flow as it was last looked at, with what it is to the workload. Its count is what the kernel has counted
// since then and what it has forgotten before. What it has to do with containers is found out in the end.
type observation struct {
	event              *probe.FlowEvent
	name               string   // that the workload asked for or called the server by, of those that may be meant
	sentNames          []string // all of the latter that are this observation
	lookedUpNames      []string // all names under which it was seen
	flow               flow.Flow
	identity           endpoint.Identity
	unattributed       unattributed
	isUnnamed          bool     // a connection from before the recording, to an address that may have been looked up under any name
	listenerContainers []string // IDs of the containers in which who listens there runs, from the outermost

	infrastructure string // the part of the test's machinery that opened it; "" for none
}

// lossCount is how much was lost so far, by the kernel and by the readers of DNS.
type lossCount struct {
	kernel    probe.Loss
	names     uint64 // that gave way to newer ones
	streams   uint64 // of DNS messages over TCP that could not be put together
	questions uint64 // DNS questions that were not kept
}

var shared struct {
	sync.Mutex
	recorder    *Recorder
	connections connections // that were open when the last recorder ended
}

// Join makes a recording a member of this process's recorder. Errors: *session.Error.
func Join(sizes probe.Sizes, options Options) (*Recording, error) {
	peers, err := endpoint.NewPeers(options.Peers...)
	if err != nil {
		return nil, err
	}
	shared.Lock()
	defer shared.Unlock()
	c := shared.recorder
	if c == nil {
		if c, err = newRecorder(sizes, options.Announce); err != nil {
			return nil, err
		}
	}
	m := newRecording(c, options, peers)
	if err := c.add(m); err != nil {
		if shared.recorder == nil {
			err = errors.Join(err, c.close())
		}
		return nil, err
	}
	shared.recorder = c
	m.markGoroutine()
	return m, nil
}

func newRecording(c *Recorder, options Options, peers endpoint.Peers) *Recording {
	return &Recording{
		recorder:  c,
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
	c := &Recorder{self: os.Getpid(), hints: make(map[probe.Key]*flowHints), earlierConnections: shared.connections}
	c.containers = newContainers(c.newGeneration)
	s, err := session.Open(sizes, c.handle, nil, c.trackCgroup)
	if err != nil {
		return nil, errors.Join(err, c.containers.close())
	}
	if err := c.watchOlderContainers(s); err != nil {
		return nil, errors.Join(err, s.Close(), c.containers.close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if who, why := s.Executables(); why != "" {
		c.limits = []string{fmt.Sprintf("executables are named by %s, which does not know those that have ended: %s", who, why)}
	}
	var children string
	if c.unseparated, children = s.AttributionGaps(); children != "" {
		c.limits = append(c.limits, "child processes of tests that run in parallel are not told apart: "+children)
	}
	for _, p := range s.Unclear {
		announce(fmt.Sprintf("process %d (%s) may have been started by this test before it was recorded, and is not recorded: "+
			"start it after Record, or leave it the test's environment", p.PID, p.Name))
	}
	c.handleEvents(c.early)
	c.early = nil
	return c, nil
}

// add starts a member's recording: what is opened from now on is its.
func (r *Recorder) add(m *Recording) (err error) {
	if m.lostBefore, err = r.lossCount(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.generation, err = r.session.Probe.NextGeneration(); err != nil {
		return err
	}
	if err := r.session.Probe.Several(len(r.members) > 0); err != nil {
		return err
	}
	for _, other := range r.members {
		if !m.includes(other.test) && !other.includes(m.test) {
			m.overlapping[other.test], other.overlapping[m.test] = true, true
		}
	}
	r.members = append(r.members, m)
	return nil
}

// includes reports whether what a test opens is this recording's too.
func (m *Recording) includes(test string) bool { return m.isPackage || includes(m.test, test) }

// newGeneration makes every flow new that the kernel knows: what its address stands for has changed.
func (r *Recorder) newGeneration() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil && len(r.members) > 0 {
		_, err := r.session.Probe.NextGeneration()
		r.fail(err)
	}
}

// Close ends a member's recording. With the last one the recorder ends.
func (m *Recording) Close() error {
	shared.Lock()
	defer shared.Unlock()
	c := m.recorder
	c.mu.Lock()
	if !m.isPackage {
		endedByID.Store(m.goroutine, m.end())
	}
	c.members = slices.DeleteFunc(c.members, func(other *Recording) bool { return other == m })
	last := len(c.members) == 0
	c.fail(c.session.Probe.Several(len(c.members) > 1))
	c.mu.Unlock()
	if !last {
		return nil
	}
	shared.recorder = nil
	shared.connections = c.openConnections()
	return c.close()
}

// Unrecorded does something if no recording sees it, and keeps those of this process from beginning until then. One of a process
// that has started this one may go on, as that of a fuzzing coordinator does.
func Unrecorded(do func()) {
	shared.Lock()
	defer shared.Unlock()
	if shared.recorder == nil && !cgroup.InLeaf() {
		do()
	}
}

func (r *Recorder) close() error {
	r.containers.starters.end()
	return errors.Join(r.session.Close(), r.containers.close())
}

// Check returns an error where no golden file may come of the recording: a *probe.LossError where something was lost
// since the member started, and where a Peer has a port of this run only.
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

// since returns an error that says all that was lost since an earlier count, and what helps.
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
	if n := l.streams - earlier.streams; n > 0 { // what was missing then may have come since
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

// now is CLOCK_MONOTONIC, the clock of the kernel's events.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}

// ID identifies the recording in this process.
func (m *Recording) ID() goroutine.ID { return m.goroutine }
