package recorder

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resolution turns a snapshot into a recording.Recording.
type resolution struct {
	snapshot
	engine        containers.Engine  // nil if there is no engine, and thus no container
	notices       []recording.Notice // that the resolution itself adds
	engineNotices []recording.Notice // about an engine that was needed and is absent

	owned          map[string]bool // IDs of the containers of this recording
	flows          []resolvedFlow
	infrastructure map[string]flow.Set // flows that are in no policy, by their part of the infrastructure
	onLink         flow.Set            // flows to multicast groups, which no cluster routes
	errs           []string
	stores         map[uint16]bool // ports of the databases of API servers that the test runs
}

// Resolve returns what was recorded so far. It does not change the recording.
func (rec *Recording) Resolve() (recording.Recording, error) {
	s, err := rec.takeSnapshot()
	if err != nil {
		return recording.Recording{}, err
	}
	engine, notices, err := rec.recorder.containers.engineIfNeeded(s.needsEngine())
	if err != nil {
		return recording.Recording{}, err
	}
	return s.resolve(engine, notices)
}

// takeSnapshot returns the complete state of a recording.
func (rec *Recording) takeSnapshot() (snapshot, error) {
	r := rec.recorder
	if err := r.session.Probe.Sync(); err != nil {
		return snapshot{}, err
	}
	r.requests.wait()
	// Before the flows: a connection that opens meanwhile has sent nothing.
	names, err := r.session.Probe.NameCounts()
	if err != nil {
		return snapshot{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	flows, err := r.session.Probe.Counts()
	if err != nil {
		return snapshot{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	starts := r.containers.startEvents.all()
	mayRefuse := r.enforcement.isEnabled()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := rec.snapshot()
	s.startEvents = starts
	s.observed = rec.countedObservations(flows, names)
	if mayRefuse {
		err = s.countRefused(r.session.Probe)
	}
	return s, errors.Join(err, r.addRequests(r.session.Probe, rec, s.observed))
}

// resolve resolves a snapshot. The engine is nil if there is none; notices say why.
func (s snapshot) resolve(engine containers.Engine, notices []recording.Notice) (recording.Recording, error) {
	resolution := &resolution{
		snapshot: s, engine: engine, engineNotices: notices,
		owned: make(map[string]bool), infrastructure: make(map[string]flow.Set),
	}
	for _, o := range s.observed {
		resolution.flows = append(resolution.flows, resolution.resolveEnds(o))
	}
	resolution.flows = append(resolution.flows, resolution.failedLookups()...)
	resolution.findOwned()
	return resolution.result()
}

// engineNeed is how much the resolution of a recording depends on an engine.
type engineNeed int

const (
	engineUnneeded engineNeed = iota
	engineHelpful             // an engine may explain an observation
	engineExpected            // there were containers, whose tests are unknown
	engineRequired            // the recording cannot be resolved without an engine
)

// needsEngine returns how much the resolution depends on an engine.
func (s *snapshot) needsEngine() engineNeed {
	need := engineUnneeded
	if len(s.attachments) > 0 {
		need = engineRequired
	}
	for _, o := range s.observed {
		switch {
		case o.event.Cgroup != s.ownCgroup:
			if len(s.cgroups[o.event.Cgroup].ids) > 0 {
				need = max(need, engineExpected)
			}
		case o.identity.Local && containers.IsProxy(o.identity.Listener.Name):
			need = engineRequired
		case o.identity.Local && o.identity.Relation == endpoint.NoListener:
			need = max(need, engineHelpful) // the engine may publish a port without a process
		case o.identity.Hidden, len(o.listenerContainers) > 0:
			need = max(need, engineHelpful) // the engine's process may serve a published port, or a container the host's
		case !o.identity.Local && o.identity.Relation == endpoint.Other && !flow.Public(o.event.Addr) &&
			o.identity.Peer == (endpoint.Peer{}):
			need = max(need, engineHelpful)
		}
	}
	for _, events := range s.startEvents {
		for _, st := range events {
			if st.At >= s.started && len(s.runs.Clients(st)) > 0 {
				need = max(need, engineExpected)
			}
		}
	}
	return need
}

// engineIfNeeded returns the engine if a resolution needs one. Without an engine that was only expected, it returns
// notices.
func (c *containerState) engineIfNeeded(need engineNeed) (containers.Engine, []recording.Notice, error) {
	if need == engineUnneeded {
		return nil, nil, nil
	}
	engine, err := c.engine()
	var other *docker.UnsupportedError
	absent := errors.Is(err, docker.ErrNoEngine) || errors.As(err, &other)
	switch {
	case err == nil:
		return engine, nil, nil
	case need == engineRequired, need == engineExpected && !absent:
		return nil, nil, fmt.Errorf("the test has containers, and the engine cannot describe them: %w", err)
	case need == engineExpected:
		return nil, []recording.Notice{recording.Noticef(recording.CodeNoEngine,
			"containers were started during the recording and are not recorded: %v", err)}, nil
	}
	return nil, nil, nil
}

// isOwn reports whether the initiator of a flow belongs to this recording.
func (s *resolution) isOwn(f resolvedFlow) bool {
	return !f.missing && (f.from == nil || s.owned[f.from.ID])
}

// apply adds what an outcome reports to the result.
func (s *resolution) apply(o outcome) {
	s.errs = append(s.errs, o.errs...)
	if o.notice != nil {
		s.notices = append(s.notices, *o.notice)
	}
	if o.part != "" {
		set := s.infrastructure[o.part]
		set.Add(o.flow)
		s.infrastructure[o.part] = set
	}
	if o.onLink {
		s.onLink.Add(o.flow)
	}
}

// result builds the recording.Recording.
func (s *resolution) result() (recording.Recording, error) {
	out := recording.Recording{Workloads: s.workloads()}
	var all []resolvedFlow
	var set flow.Set
	s.findStores()
	for _, f := range s.flows {
		if !s.isOwn(f) {
			continue // another test's, or unrelated
		}
		o := s.outcomeOf(f)
		s.apply(o)
		if !o.inPolicy {
			continue
		}
		f = o.resolvedFlow
		all = append(all, f)
		if f.identity.Relation == endpoint.Other {
			f.describePeer()
			set.Add(f.flow)
			addInitiator(&out, f.flow)
		}
	}
	s.announceSharedConnections(all)
	out.Flows = set.Sorted()
	out.EphemeralPorts = ephemeralPorts(s.options, all)
	errs, unrecorded := s.unrecordedContainers()
	s.errs = append(s.errs, errs...)
	errs, early := s.olderContainerFlows()
	s.errs = append(s.errs, errs...)
	slices.SortFunc(s.notices, recording.Notice.Compare)
	out.Notices = slices.Concat(s.limits, s.engineNotices, s.unattributedNotices(all),
		s.containerNotices(), slices.Compact(s.notices), s.infrastructureNotices(), s.tunnelNotices(all),
		lookupNotices(out.Flows), linkNotices(s.onLink.Sorted()), s.runningNotices(len(out.Workloads) > 0),
		unrecorded, early, s.forwarderNotices(all), hiddenNotices(s.options, all),
		unservedAttempts(s.options, s.identifier.Ephemeral, all))
	s.errs = append(s.errs, s.silentContainers()...)
	s.errs = append(s.errs, s.goneContainers()...)
	s.errs = append(s.errs, s.nameConflicts()...)
	s.errs = append(s.errs, s.binariesErrors()...)
	s.errs = append(s.errs, s.runningErrors(len(out.Workloads) > 0)...)
	s.errs = append(s.errs, ephemeralPeers(s.options, all)...)
	if len(s.errs) > 0 {
		slices.Sort(s.errs)
		return out, &recording.OptionError{Texts: slices.Compact(s.errs)}
	}
	return out, nil
}

// addInitiator records the process that opened a flow, unless another one of its program was earlier.
func addInitiator(r *recording.Recording, f flow.Flow) {
	if r.Initiators == nil && len(f.Binaries) > 0 {
		r.Initiators = make(map[recording.Program]recording.Initiator)
	}
	for _, binary := range f.Binaries {
		key := recording.Program{Workload: f.Source.Identity(), Binary: binary}
		if before, known := r.Initiators[key]; !known || f.First < before.First {
			r.Initiators[key] = recording.Initiator{Process: f.Process, First: f.First}
		}
	}
}
