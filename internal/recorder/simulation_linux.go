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

// Simulation is a recording of synthetic events. Tests use it to describe destinations; every stage after the kernel is
// real.
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
	r := &Recorder{
		self: os.Getpid(), session: &session.Session{Leaf: &cgroup.Leaf{ID: ownCgroup}}, containers: newContainers(func() {}),
	}
	m := newRecording(r, options, peers)
	m.id, m.started = "simulation", 0
	r.recordings = []*Recording{m}
	r.containers.begin = func() {} // the caller has the engine
	if engine != nil {
		r.containers.begun.Store(true)
		r.containers.watcher = engine
		close(r.containers.done)
	}
	if older {
		m.started = now()
	}
	for _, container := range containers {
		r.containers.cgroups[container.Cgroup] = containerCgroup{"/docker/" + container.ID, []string{container.ID}}
		if container.Awaited {
			r.containers.waits[container.ID] = []waitPeriod{{from: 0}}
		}
		if container.Attached {
			r.containers.attachments[container.ID] = &attachmentRecord{
				names: map[*Recording]string{m: ""}, peers: map[*Recording]bool{m: container.Peer}, older: older,
			}
		}
	}
	return &Simulation{r, m}, nil
}

// Recording returns the recording, so that tests can attach containers to it.
func (s *Simulation) Recording() *Recording { return s.recording }

// Listen makes a process listen at the destination of a flow.
func (s *Simulation) Listen(e *probe.FlowEvent, owner endpoint.Owner) {
	at := probe.Key{Cgroup: s.recorder.session.Leaf.ID, Addr: e.Addr, Port: e.Port, Protocol: e.Protocol}
	s.recorder.listeners.add(&probe.BindEvent{Key: at}, owner)
}

// Lookup makes a cgroup look up a name without an address.
func (s *Simulation) Lookup(e *probe.FlowEvent, name string) {
	e.Time = now()
	s.recording.lookups[lookupKey{e.Cgroup, name}] = &lookup{event: e}
}

// Open makes a process open a flow once, now, after a lookup of name if that is not empty.
func (s *Simulation) Open(e *probe.FlowEvent, name string) {
	e.Time = now()
	r, m := s.recorder, s.recording
	identity := r.identify(m, e, name, make(map[*Recording]*endpoint.Batch))
	key := observationKey{e.Key, identity.Endpoint.Name}
	if by := r.infrastructureOf(e); by != "" {
		o := m.observe(e, name, identity, unattributed{})
		o.flow.Count, o.infrastructure = 1, by
		m.infrastructure[infrastructureKey{key, by}] = o
		return
	}
	m.record(e, name, identity, unattributed{})
	o := m.observations[key]
	o.flow.Count = 1
	m.observations[key] = o
}

// Resolve returns what was recorded.
func (s *Simulation) Resolve() (recording.Recording, error) {
	r := &resolution{
		snapshot: s.recording.snapshot(), engine: s.recorder.containers.watcher,
		owned: make(map[string]bool), infrastructure: make(map[string]flow.Set),
	}
	for o := range s.recording.allObservations() {
		r.observations = append(r.observations, r.resolveEnds(o))
	}
	r.observations = append(r.observations, r.failedLookups()...)
	r.findOwned()
	return r.result()
}
