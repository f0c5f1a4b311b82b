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

// resolution is the work on a recording.Recording. It is done with Recorder.mu held, since maps of the snapshot are the recorder's own.
type resolution struct {
	snapshot
	engine        *docker.Watcher // nil where there is none, and so no container
	notices       []string        // notices that the work brought up
	engineNotices []string        // notices of an engine that is absent, and missed

	starters       map[string][]*startEvent // by ID of the container
	owned          map[string]bool          // IDs of the containers that are this recording's
	observations   []attributedFlow
	infrastructure map[string]flow.Set // flows that are testcontainers' own, by what they are
	onLink         flow.Set            // flows that no cluster would carry
	errs           []string
	stores         map[uint16]bool // ports of databases of API servers that the test runs
}

// Resolve tells what the recording has seen so far.
func (m *Recording) Resolve() (recording.Recording, error) {
	c := m.recorder
	if err := c.session.Probe.Sync(); err != nil {
		return recording.Recording{}, err
	}
	calls, err := c.session.Probe.NameCounts() // first: what connects meanwhile has said nothing
	if err != nil {
		return recording.Recording{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	counts, err := c.session.Probe.Counts()
	if err != nil {
		return recording.Recording{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	starters := c.containers.starters.all()
	c.mu.Lock()
	asks, strangers, needs := m.needsEngine()
	for _, of := range starters {
		for _, st := range of {
			strangers = strangers || st.at >= m.started && len(c.containers.candidates(st)) > 0
		}
	}
	c.mu.Unlock()
	var engine *docker.Watcher
	var unasked []string
	if asks || strangers || needs {
		engine, err = c.containers.engine()
		var other *docker.UnsupportedError
		absent := errors.Is(err, docker.ErrNoEngine) || errors.As(err, &other)
		switch {
		case err != nil && (needs || strangers && !absent):
			return recording.Recording{}, fmt.Errorf("the test has containers, and what they were cannot be told: %w", err)
		case err != nil && strangers:
			unasked = []string{fmt.Sprintf("containers were started meanwhile, which are not recorded: %v", err)}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &resolution{snapshot: m.snapshot(), engine: engine, engineNotices: unasked, starters: starters, owned: make(map[string]bool), infrastructure: make(map[string]flow.Set)}
	named := m.namedFlows()
	for _, seen := range m.observations {
		count, own := m.countOf(seen, named, counts, calls)
		if !own {
			continue
		}
		seen.flow.Count += count
		s.observations = append(s.observations, s.locate(seen))
	}
	for _, seen := range m.infrastructure {
		s.observations = append(s.observations, s.locate(seen))
	}
	s.observations = append(s.observations, s.failedLookups()...)
	s.findOwned()
	return s.result()
}

// needsEngine reports whether something was seen that an engine may explain, whether there were containers that may be
// anybody's, and whether nothing can be said of this recording without an engine.
func (m *Recording) needsEngine() (asks, strangers, needs bool) {
	needs = len(m.recorder.containers.attachments) > 0
	for s := range m.allObservations() {
		switch {
		case s.event.Cgroup != m.recorder.session.Leaf.ID:
			strangers = strangers || len(m.recorder.containers.cgroups[s.event.Cgroup].ids) > 0
		case s.identity.Local:
			needs = needs || isProxy(s.identity.Listener.Name)
			asks = asks || s.identity.Relation == endpoint.NoListener // a port may be published without a process
		case s.identity.Relation == endpoint.Other:
			asks = asks || !flow.Public(s.event.Addr) && s.identity.Peer == (endpoint.Peer{})
		}
	}
	return asks, strangers, needs
}

// result puts the recording.Recording together.
func (r *resolution) result() (recording.Recording, error) {
	out := recording.Recording{Workloads: r.workloads()}
	var all []attributedFlow
	var set flow.Set
	r.findStores()
	for _, l := range r.observations {
		f, ok := r.finish(l)
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
		r.containerNotices(), slices.Compact(r.notices), r.backgroundNotices(), r.tunnelNotices(all),
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
