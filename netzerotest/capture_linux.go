package netzerotest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
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
	names      dns.Names
	containers *containers
	failure    error // what makes the recordings incomplete
	streams    dns.Streams
	bound      bound
	// flows for which several names may be meant
	ambiguous []*probe.FlowEvent
	// of flows for which no name was asked, or one of several
	speeches map[probe.Key]*speech
}

// membership is one recording's part in the capture.
type membership struct {
	capture    *capture
	id         string // by which other test processes know it
	goroutine  goroutine.ID
	labels     uint64              // goroutine.Labels of the test's goroutine
	unmark     func() goroutine.ID // nil where goroutines are not told apart
	name       string              // the test's
	identifier *endpoint.Identifier
	source     flow.Endpoint
	generation uint32        // flows from this one on are its
	started    time.Duration // CLOCK_MONOTONIC
	before     loss
	config     config

	seen      map[sightingKey]sighting // guarded by capture.mu
	alongside map[string]bool          // tests whose recordings overlapped; guarded by capture.mu
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
	server   []string // IDs of the containers in which who listens there runs, from the outermost
}

// loss is how much was lost so far, by the kernel and by the readers of DNS.
type loss struct {
	kernel probe.Loss
	dns    uint64
}

var shared struct {
	sync.Mutex
	capture *capture
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
		identifier: endpoint.New(endpoint.Config{Self: os.Getpid(), Peers: peers, Workload: r.config.workload}),
		source:     flow.Endpoint{Kind: flow.Workload, Name: r.config.workload, Namespace: r.config.namespace, Evidence: flow.ByOption},
		started:    now(),
		config:     r.config,
		seen:       make(map[sightingKey]sighting),
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
	c := &capture{self: os.Getpid(), speeches: make(map[probe.Key]*speech)}
	c.containers = newContainers(c.renew)
	s, err := session.Open(sizes, c.handle, nil, nobodys)
	if err != nil {
		return nil, errors.Join(err, c.containers.close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if who, why := s.Executables(); why != "" {
		c.limits = []string{fmt.Sprintf("executables are named by %s, which does not know those that have ended: %s", who, why)}
	}
	var children string
	if c.mixed, children = s.Mixed(); children != "" {
		c.limits = append(c.limits, "child processes of tests that run in parallel are not told apart: "+children)
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
	for _, other := range c.members {
		if !contains(m.name, other.name) && !contains(other.name, m.name) {
			m.alongside[other.name], other.alongside[m.name] = true, true
		}
	}
	c.members = append(c.members, m)
	return nil
}

// contains reports whether one test is another's subtest: sharing flows is what they are for.
func contains(parent, test string) bool { return strings.HasPrefix(test, parent+"/") }

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
	ended.Store(m.goroutine, m.name)
	c.members = slices.DeleteFunc(c.members, func(other *membership) bool { return other == m })
	last := len(c.members) == 0
	c.mu.Unlock()
	if !last {
		return nil
	}
	shared.capture = nil
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

func (c *capture) close() error { return errors.Join(c.session.Close(), c.containers.close()) }

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
	if lost := after.kernel.Minus(m.before.kernel); lost != (probe.Loss{}) {
		return &probe.LossError{Loss: lost}
	}
	if after.dns > m.before.dns { // what was missing then may have come since
		return fmt.Errorf("the recording is incomplete: %d DNS answers could not be kept or put together", after.dns-m.before.dns)
	}
	return nil
}

func (c *capture) lost() (loss, error) {
	kernel, err := c.session.Probe.Lost()
	c.mu.Lock()
	defer c.mu.Unlock()
	return loss{kernel, c.names.Overflowed() + c.streams.Dropped()}, err
}

// now is CLOCK_MONOTONIC, the clock of the kernel's events.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}
