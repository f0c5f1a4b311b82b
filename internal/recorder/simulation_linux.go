package recorder

import (
	"os"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Simulation is a recording of events that no kernel has delivered. Tests describe destinations with it; every stage
// after the kernel is the real one.
type Simulation struct {
	recorder  *Recorder
	recording *Recording
}

// SimulatedContainer is a container of a [Simulation].
type SimulatedContainer struct {
	ID       string
	Cgroup   uint64
	Attached bool // it was passed to the recording
	Peer     bool // it was passed to AsPeer
	Awaited  bool // testcontainers waits for it
}

// NewSimulation returns a recording of events from ownCgroup, the cgroup of the test process, and of the containers of an
// engine, which is nil if there are none. If older is set, the containers ran before the recording.
func NewSimulation(options Options, ownCgroup uint64, engine *docker.Watcher, containers []SimulatedContainer, older bool) (*Simulation, error) {
	peers, err := endpoint.NewPeers(options.Peers...)
	if err != nil {
		return nil, err
	}
	c := &Recorder{
		self: os.Getpid(), session: &session.Session{Leaf: &cgroup.Leaf{ID: ownCgroup}}, containers: newContainers(func() {}),
	}
	m := newRecording(c, options, peers)
	m.id, m.started = "simulation", 0
	c.members = []*Recording{m}
	c.containers.begin = func() {} // the caller has the engine
	if engine != nil {
		c.containers.begun.Store(true)
		c.containers.watcher = engine
		close(c.containers.done)
	}
	if older {
		m.started = now()
	}
	for _, given := range containers {
		c.containers.cgroups[given.Cgroup] = containerCgroup{"/docker/" + given.ID, []string{given.ID}}
		if given.Awaited {
			c.containers.waits[given.ID] = []waitPeriod{{from: 0}}
		}
		if given.Attached {
			c.containers.attachments[given.ID] = &attachmentRecord{
				names: map[*Recording]string{m: ""}, peers: map[*Recording]bool{m: given.Peer}, older: older,
			}
		}
	}
	return &Simulation{c, m}, nil
}

// Recording returns the recording, for what attaches containers to it.
func (s *Simulation) Recording() *Recording { return s.recording }

// Listen makes a process listen at the destination of a flow.
func (s *Simulation) Listen(e *probe.FlowEvent, owner endpoint.Owner) {
	at := probe.Key{Cgroup: s.recorder.session.Leaf.ID, Addr: e.Addr, Port: e.Port, Protocol: e.Protocol}
	s.recorder.listeners.add(&probe.BindEvent{Key: at}, owner)
}

// Lookup makes a cgroup look up a name, which gets no address.
func (s *Simulation) Lookup(e *probe.FlowEvent, name string) {
	e.Time = now()
	s.recording.lookups[lookupKey{e.Cgroup, name}] = &lookup{event: e}
}

// Open makes a process open a flow now and once, after a look-up of the name, which may be empty.
func (s *Simulation) Open(e *probe.FlowEvent, name string) {
	e.Time = now()
	c, m := s.recorder, s.recording
	identity := c.identify(m, e, name, make(map[*Recording]*endpoint.Batch))
	key := observationKey{e.Key, identity.Endpoint.Name}
	if by := c.infrastructureOf(e); by != "" {
		seen := m.observe(e, name, identity, unattributed{})
		seen.flow.Count, seen.infrastructure = 1, by
		m.infrastructure[infrastructureKey{key, by}] = seen
		return
	}
	m.record(e, name, identity, unattributed{})
	seen := m.observations[key]
	seen.flow.Count = 1
	m.observations[key] = seen
}

// Resolve returns what was recorded.
func (s *Simulation) Resolve() (recording.Recording, error) {
	r := &resolution{
		snapshot: s.recording.snapshot(), engine: s.recorder.containers.watcher,
		owned: make(map[string]bool), infrastructure: make(map[string]flow.Set),
	}
	for seen := range s.recording.allObservations() {
		r.observations = append(r.observations, r.locate(seen))
	}
	r.observations = append(r.observations, r.failedLookups()...)
	r.findOwned()
	return r.result()
}
