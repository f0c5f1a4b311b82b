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

// resolving is the work on a recording.Recording. It is done with Recorder.mu held, since maps of the snapshot are the recorder's own.
type resolving struct {
	snapshot
	engine  *docker.Watcher // nil where there is none, and so no container
	notes   []string        // notices that the work brought up
	unasked []string        // notices of an engine that is absent, and missed

	starters     map[string][]*starter // by ID of the container
	own          map[string]bool       // IDs of the containers that are this recording's
	observations []attributedFlow
	background   map[string]flow.Set // flows that are testcontainers' own, by what they are
	onLink       flow.Set            // flows that no cluster would carry
	errs         []string
	stores       map[uint16]bool // ports of databases of API servers that the test runs
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
	asks, strangers, needs := m.asksEngine()
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
	s := &resolving{snapshot: m.snapshot(), engine: engine, unasked: unasked, starters: starters, own: make(map[string]bool), background: make(map[string]flow.Set)}
	named := m.namedFlows()
	for _, seen := range m.seen {
		count, own := m.countOf(seen, named, counts, calls)
		if !own {
			continue
		}
		seen.flow.Count += count
		s.observations = append(s.observations, s.locate(seen))
	}
	for _, seen := range m.background {
		s.observations = append(s.observations, s.locate(seen))
	}
	s.observations = append(s.observations, s.unanswered()...)
	s.whose()
	return s.result()
}

// asksEngine reports whether something was seen that an engine may explain, whether there were containers that may be
// anybody's, and whether nothing can be said of this recording without an engine.
func (m *Recording) asksEngine() (asks, strangers, needs bool) {
	needs = len(m.recorder.containers.claims) > 0
	for s := range m.allObservations() {
		switch {
		case s.event.Cgroup != m.recorder.session.Leaf.ID:
			strangers = strangers || len(m.recorder.containers.cgroups[s.event.Cgroup].ids) > 0
		case s.identity.Local:
			needs = needs || isProxy(s.identity.Listener.Name)
			asks = asks || s.identity.Relation == endpoint.NobodyListens // a port may be published without a process
		case s.identity.Relation == endpoint.Other:
			asks = asks || !flow.Public(s.event.Addr) && s.identity.Peer == (endpoint.Peer{})
		}
	}
	return asks, strangers, needs
}

// result puts the recording.Recording together.
func (s *resolving) result() (recording.Recording, error) {
	out := recording.Recording{Workloads: s.workloads()}
	var all []attributedFlow
	var set flow.Set
	s.findStores()
	for _, l := range s.observations {
		f, ok := s.finish(l)
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
	s.announceShared(all)
	out.Flows = set.Sorted()
	out.EphemeralPorts = changing(s.options, all)
	out.Unserved = unanswered(s.options, s.identifier.Ephemeral, all)
	errs, lines := s.unrecordedContainers()
	s.errs, out.Announced = append(s.errs, errs...), lines
	errs, lines = s.fromBefore()
	s.errs, out.Announced = append(s.errs, errs...), append(out.Announced, lines...)
	slices.Sort(s.notes)
	out.Notices = slices.Concat(s.limits, s.unasked, s.mixedNotices(all),
		s.containerNotices(), slices.Compact(s.notes), s.backgroundNotices(), s.tunnelNotices(all),
		lookupNotices(out.Flows), linkNotices(s.onLink.Sorted()), s.runningNotices(len(out.Workloads) > 0))
	for _, line := range s.forwarderLines(all) {
		out.Notices, out.Announced = append(out.Notices, line), append(out.Announced, s.options.Test+": "+line)
	}
	s.errs = append(s.errs, s.unheard()...)
	s.errs = append(s.errs, s.goneContainers()...)
	s.errs = append(s.errs, s.namesakes()...)
	s.errs = append(s.errs, s.binariesErrors()...)
	s.errs = append(s.errs, s.runningErrors(len(out.Workloads) > 0)...)
	s.errs = append(s.errs, ephemeralPeers(s.options, all)...)
	if len(s.errs) > 0 {
		slices.Sort(s.errs)
		return out, &recording.OptionError{Texts: slices.Compact(s.errs)}
	}
	return out, nil
}
