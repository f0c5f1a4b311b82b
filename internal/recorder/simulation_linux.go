package recorder

import (
	"maps"
	"os"
	"slices"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
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

// NewSimulation returns a recording of events from ownCgroup, the cgroup of the test process, and of the containers of
// an engine, which is nil if there are none. If older is set, the containers ran before the recording.
func NewSimulation(
	options Options, ownCgroup uint64, engine *docker.Watcher, simulated []SimulatedContainer, older bool,
) (*Simulation, error) {
	peers, err := endpoint.NewPeers(options.Peers...)
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		attribution: attribution{self: os.Getpid(), ownCgroup: ownCgroup},
		session:     &session.Session{Leaf: &cgroup.Leaf{ID: ownCgroup}},
		containers:  newContainerState(func() {}, func() {}),
	}
	rec := newRecording(r, options, peers)
	rec.id, rec.started = "simulation", 0
	r.attribution.recordings = []*Recording{rec}
	r.containers.begin = func() {} // the caller has the engine
	if engine != nil {
		r.containers.begun.Store(true)
		r.containers.watcher = engine
		close(r.containers.done)
	}
	if older {
		rec.started = now()
	}
	for _, container := range simulated {
		r.containers.cgroups[container.Cgroup] = containerCgroup{"/docker/" + container.ID, []string{container.ID}}
		if container.Awaited {
			r.containers.waits[container.ID] = []waitPeriod{{from: 0}}
		}
		if container.Attached {
			r.containers.attachments[container.ID] = &attachmentRecord{
				names: map[*Recording]string{rec: ""}, peers: map[*Recording]bool{rec: container.Peer}, older: older,
			}
		}
	}
	return &Simulation{r, rec}, nil
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
	r, rec := s.recorder, s.recording
	identity := r.identify(rec, e, name, make(machineReadings))
	if by := r.infrastructureOf(e); by != "" {
		o := rec.observe(e, name, identity, unattributed{})
		o.flow.Count, o.infrastructure = 1, by
		rec.infrastructure[infrastructureKey{e.Key, identity.Endpoint.Name, by}] = o
		return
	}
	rec.record(e, name, identity, unattributed{}).flow.Count = 1
}

// Resolve returns what was recorded.
func (s *Simulation) Resolve() (recording.Recording, error) {
	if watcher := s.recorder.containers.watcher; watcher != nil {
		return s.resolve(watcher)
	}
	return s.resolve(nil) // a nil pointer would be an Engine
}

func (s *Simulation) resolve(engine containers.Engine) (recording.Recording, error) {
	return s.snapshot().resolve(engine, nil)
}

// snapshot returns the state of the recording. Each observation has counted its connections itself.
func (s *Simulation) snapshot() snapshot {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	now := s.recording.snapshot()
	for o := range s.recording.observations.each {
		now.observed = append(now.observed, *o)
	}
	now.observed = slices.AppendSeq(now.observed, maps.Values(s.recording.infrastructure))
	return now
}
