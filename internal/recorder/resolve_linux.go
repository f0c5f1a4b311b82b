package recorder

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resolution turns a snapshot into a recording.Recording. The caller holds Recorder.mu, because the snapshot shares
// maps with the recorder.
type resolution struct {
	snapshot
	engine        *docker.Watcher // nil if there is no engine, and thus no container
	notices       []string        // that the resolution itself adds
	engineNotices []string        // about an engine that was needed and is absent

	startEvents    map[string][]*startEvent // by ID of the container
	owned          map[string]bool          // IDs of the containers of this recording
	observations   []attributedFlow
	infrastructure map[string]flow.Set // flows that are in no policy, by their part of the infrastructure
	onLink         flow.Set            // flows to multicast groups, which no cluster routes
	errs           []string
	stores         map[uint16]bool // ports of the databases of API servers that the test runs
}

// Resolve returns what was recorded so far.
func (m *Recording) Resolve() (recording.Recording, error) {
	rec := m.recorder
	if err := rec.session.Probe.Sync(); err != nil {
		return recording.Recording{}, err
	}
	calls, err := rec.session.Probe.NameCounts() // before the flows: a connection that opens meanwhile has sent nothing
	if err != nil {
		return recording.Recording{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	counts, err := rec.session.Probe.Counts()
	if err != nil {
		return recording.Recording{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	starters := rec.containers.startEvents.all()
	rec.mu.Lock()
	useful, unknown, required := m.needsEngine()
	for _, events := range starters {
		for _, st := range events {
			unknown = unknown || st.at >= m.started && len(rec.containers.candidates(st)) > 0
		}
	}
	rec.mu.Unlock()
	var engine *docker.Watcher
	var notices []string
	if useful || unknown || required {
		engine, err = rec.containers.engine()
		var other *docker.UnsupportedError
		absent := errors.Is(err, docker.ErrNoEngine) || errors.As(err, &other)
		switch {
		case err != nil && (required || unknown && !absent):
			return recording.Recording{}, fmt.Errorf("the test has containers, and what they were cannot be told: %w", err)
		case err != nil && unknown:
			notices = []string{fmt.Sprintf("containers were started meanwhile, which are not recorded: %v", err)}
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r := &resolution{snapshot: m.snapshot(), engine: engine, engineNotices: notices, startEvents: starters, owned: make(map[string]bool), infrastructure: make(map[string]flow.Set)}
	named := m.namedFlows()
	for _, o := range m.observations {
		count, belongs := m.countOf(o, named, counts, calls)
		if !belongs {
			continue
		}
		o.flow.Count += count
		r.observations = append(r.observations, r.resolveEnds(o))
	}
	for _, o := range m.infrastructure {
		r.observations = append(r.observations, r.resolveEnds(o))
	}
	r.observations = append(r.observations, r.failedLookups()...)
	r.findOwned()
	return r.result()
}

// needsEngine reports whether an engine may explain an observation, whether there were containers of unknown tests, and
// whether the recording cannot be resolved without an engine.
func (m *Recording) needsEngine() (useful, unknown, required bool) {
	required = len(m.recorder.containers.attachments) > 0
	for o := range m.allObservations() {
		switch {
		case o.event.Cgroup != m.recorder.session.Leaf.ID:
			unknown = unknown || len(m.recorder.containers.cgroups[o.event.Cgroup].ids) > 0
		case o.identity.Local:
			required = required || isProxy(o.identity.Listener.Name)
			useful = useful || o.identity.Relation == endpoint.NoListener // the engine may publish a port without a process
		case o.identity.Relation == endpoint.Other:
			useful = useful || !flow.Public(o.event.Addr) && o.identity.Peer == (endpoint.Peer{})
		}
	}
	return useful, unknown, required
}

// result builds the recording.Recording.
func (r *resolution) result() (recording.Recording, error) {
	out := recording.Recording{Workloads: r.workloads()}
	var all []attributedFlow
	var set flow.Set
	r.findStores()
	for _, attributed := range r.observations {
		f, ok := r.finish(attributed)
		if !ok {
			continue
		}
		all = append(all, f)
		if f.identity.Relation == endpoint.Other {
			f.namePeer()
			set.Add(f.flow)
			out.AddInitiator(f.flow)
		}
	}
	r.announceSharedConnections(all)
	out.Flows = set.Sorted()
	out.EphemeralPorts = ephemeralPorts(r.options, all)
	out.Unserved = unservedAttempts(r.options, r.identifier.Ephemeral, all)
	errs, lines := r.unrecordedContainers()
	r.errs, out.Announced = append(r.errs, errs...), lines
	errs, lines = r.olderContainerFlows()
	r.errs, out.Announced = append(r.errs, errs...), append(out.Announced, lines...)
	slices.Sort(r.notices)
	out.Notices = slices.Concat(r.limits, r.engineNotices, r.unattributedNotices(all),
		r.containerNotices(), slices.Compact(r.notices), r.infrastructureNotices(), r.tunnelNotices(all),
		lookupNotices(out.Flows), linkNotices(r.onLink.Sorted()), r.runningNotices(len(out.Workloads) > 0))
	for _, line := range r.forwarderLines(all) {
		out.Notices, out.Announced = append(out.Notices, line), append(out.Announced, r.options.Test+": "+line)
	}
	r.errs = append(r.errs, r.silentContainers()...)
	r.errs = append(r.errs, r.goneContainers()...)
	r.errs = append(r.errs, r.nameConflicts()...)
	r.errs = append(r.errs, r.binariesErrors()...)
	r.errs = append(r.errs, r.runningErrors(len(out.Workloads) > 0)...)
	r.errs = append(r.errs, ephemeralPeers(r.options, all)...)
	if len(r.errs) > 0 {
		slices.Sort(r.errs)
		return out, &recording.OptionError{Texts: slices.Compact(r.errs)}
	}
	return out, nil
}
