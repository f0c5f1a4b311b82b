package netzerotest

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

// capture is what the recordings of this process share: one set of attached programs and one leaf cgroup. The first
// recording makes it and the last one ends it.
type capture struct {
	mu         sync.Mutex
	session    *session.Session // nil while it is being opened
	self       int              // this process
	mixed      string           // why recordings that overlap are not told apart, or ""
	early      []probe.Event    // that came until then
	limits     []string         // what is recorded less well than elsewhere, as notices
	members    []*membership
	leftover   map[goroutine.ID]*membership // recordings that are over, with what was opened since then
	names      dns.Names
	containers *containers
	failure    error // what makes the recordings incomplete
	streams    dns.Streams
	sent       dns.Streams     // questions over TCP
	asking     map[asking]bool // of these, which wait for their answers
	unkept     uint64          // look-ups for which there was no room
	bound      bound
	// flows for which several names may be meant
	ambiguous []*probe.FlowEvent
	// of flows for which no name was asked, or one of several
	speeches map[probe.Key]*speech
	searches map[uint64]endpoint.Search // of the resolvers of cgroups, by their ids
	// what clients name their servers by, by ServerNameKey.Hash
	said map[uint64]serverName
	// open connections of earlier captures
	remembered connections
}

// membership is one recording's part in the capture.
type membership struct {
	capture    *capture
	id         string // by which other test processes know it
	goroutine  goroutine.ID
	labels     uint64              // goroutine.Labels of the test's goroutine
	unmark     func() goroutine.ID // nil where goroutines are not told apart
	name       string              // the test's
	whole      bool                // it is the package's
	over       bool                // its test has ended
	test       testOver            // what is needed of it when it is over
	identifier *endpoint.Identifier
	source     flow.Endpoint
	generation uint32        // flows from this one on are its
	started    time.Duration // CLOCK_MONOTONIC
	before     loss
	config     config

	seen map[sightingKey]sighting // guarded by capture.mu
	// what the test's machinery opened; guarded by capture.mu
	background map[backgroundKey]sighting
	lookups    map[lookupKey]*lookup // guarded by capture.mu
	alongside  map[string]bool       // tests whose recordings overlapped; guarded by capture.mu
}

// sightingKey is a flow to the kernel, under one of the names that may be meant.
type sightingKey struct {
	probe.Key
	name string
}

// sighting is a flow as it was last looked at, with what it is to the workload. Its count is what the kernel has counted
// since then and what it has forgotten before. What it has to do with containers is found out in the end.
type sighting struct {
	event    *probe.FlowEvent
	name     string   // that the workload asked for or called the server by, of those that may be meant
	called   []string // all of the latter that are this sighting
	meant    []string // all names under which it was seen
	flow     flow.Flow
	identity endpoint.Identity
	stray    stray
	unnamed  bool     // a connection from before the recording, to an address that may have been looked up under any name
	server   []string // IDs of the containers in which who listens there runs, from the outermost

	background string // the part of the test's machinery that opened it; "" for none
}

// loss is how much was lost so far, by the kernel and by the readers of DNS.
type loss struct {
	kernel    probe.Loss
	names     uint64 // that gave way to newer ones
	streams   uint64 // of DNS messages over TCP that could not be put together
	questions uint64 // DNS questions that were not kept
}

var shared struct {
	sync.Mutex
	capture     *capture
	connections connections // that were open when the last capture ended
}

// join makes a recording a member of this process's capture. Errors: *session.Error.
func join(r *Recording) (*membership, error) {
	peers, err := endpoint.NewPeers(r.config.peers...)
	if err != nil {
		return nil, err
	}
	shared.Lock()
	defer shared.Unlock()
	c := shared.capture
	if c == nil {
		if c, err = newCapture(r.env.sizes); err != nil {
			return nil, err
		}
	}
	m := &membership{
		capture:    c,
		id:         newRecordingID(),
		goroutine:  goroutine.NewID(),
		name:       r.tb.Name(),
		whole:      isPackage(r.tb),
		test:       testOver{tb: r.tb, name: r.tb.Name(), golden: r.golden, config: r.config},
		identifier: endpoint.New(r.config.identification(peers)),
		source:     flow.Endpoint{Kind: flow.Workload, Name: r.config.workload, Namespace: r.config.namespace, Evidence: flow.ByOption},
		started:    now(),
		config:     r.config,
		seen:       make(map[sightingKey]sighting),
		lookups:    make(map[lookupKey]*lookup),
		alongside:  make(map[string]bool),
	}
	if err := c.add(m); err != nil {
		if shared.capture == nil {
			err = errors.Join(err, c.close())
		}
		return nil, err
	}
	shared.capture = c
	m.mark()
	return m, nil
}

func newCapture(sizes probe.Sizes) (*capture, error) {
	c := &capture{self: os.Getpid(), speeches: make(map[probe.Key]*speech), remembered: shared.connections}
	c.containers = newContainers(c.renew)
	s, err := session.Open(sizes, c.handle, nil, c.newborn)
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
	if c.mixed, children = s.AttributionGaps(); children != "" {
		c.limits = append(c.limits, "child processes of tests that run in parallel are not told apart: "+children)
	}
	for _, p := range s.Unclear {
		announce(fmt.Sprintf("process %d (%s) may have been started by this test before it was recorded, and is not recorded: "+
			"start it after Record, or leave it the test's environment", p.PID, p.Name))
	}
	c.take(c.early)
	c.early = nil
	return c, nil
}

// add starts a member's recording: what is opened from now on is its.
func (c *capture) add(m *membership) (err error) {
	if m.before, err = c.lost(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.generation, err = c.session.Probe.NextGeneration(); err != nil {
		return err
	}
	if err := c.session.Probe.Several(len(c.members) > 0); err != nil {
		return err
	}
	for _, other := range c.members {
		if !m.includes(other.name) && !other.includes(m.name) {
			m.alongside[other.name], other.alongside[m.name] = true, true
		}
	}
	c.members = append(c.members, m)
	return nil
}

// includes reports whether what a test opens is this recording's too.
func (m *membership) includes(test string) bool { return m.whole || contains(m.name, test) }

// renew makes every flow new that the kernel knows: what its address stands for has changed.
func (c *capture) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil && len(c.members) > 0 {
		_, err := c.session.Probe.NextGeneration()
		c.fail(err)
	}
}

// leave ends a member's recording. With the last one the capture ends.
func (m *membership) leave() error {
	shared.Lock()
	defer shared.Unlock()
	c := m.capture
	c.mu.Lock()
	if !m.whole {
		ended.Store(m.goroutine, m.end())
	}
	c.members = slices.DeleteFunc(c.members, func(other *membership) bool { return other == m })
	last := len(c.members) == 0
	c.fail(c.session.Probe.Several(len(c.members) > 1))
	c.mu.Unlock()
	if !last {
		return nil
	}
	shared.capture = nil
	shared.connections = c.openConnections()
	return c.close()
}

// unrecorded does something if no recording sees it, and keeps those of this process from beginning until then. One of a process
// that has started this one may go on, as that of a fuzzing coordinator does.
func unrecorded(do func()) {
	shared.Lock()
	defer shared.Unlock()
	if shared.capture == nil && !cgroup.InLeaf() {
		do()
	}
}

func (c *capture) close() error {
	c.containers.starters.end()
	return errors.Join(c.session.Close(), c.containers.close())
}

// check returns an error where no golden file may come of the recording: a *probe.LossError where something was lost
// since the member started, and where a Peer has a port of this run only.
func (m *membership) check() error {
	m.capture.mu.Lock()
	failure := m.capture.failure
	m.capture.mu.Unlock()
	if err := errors.Join(failure, m.capture.session.Leaf.Check()); err != nil {
		return fmt.Errorf("the recording is incomplete: %w", err)
	}
	after, err := m.capture.lost()
	if err != nil {
		return err
	}
	return after.since(m.before)
}

// since returns an error that says all that was lost since an earlier count, and what helps.
func (l loss) since(earlier loss) error {
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

func (c *capture) lost() (loss, error) {
	kernel, err := c.session.Probe.Lost()
	c.mu.Lock()
	defer c.mu.Unlock()
	return loss{kernel, c.names.Overflowed(), c.streams.Dropped(), c.unkept}, err
}

// now is CLOCK_MONOTONIC, the clock of the kernel's events.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}
