package netzerotest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// settled is a flow of this recording, and what it rests on.
type settled struct {
	flow     flow.Flow
	identity endpoint.Identity
	key      probe.Key
	stray    stray
	server   string // the container that serves, with its image; empty where none does
}

// settling is the work on a settlement. It is done with capture.mu held.
type settling struct {
	*membership
	engine  *docker.Watcher // nil where there is none, and so no container
	notes   []string        // notices that the work brought up
	unasked []string        // notices of an engine that is absent, and missed

	starters   map[string][]*starter // by ID of the container
	own        map[string]bool       // IDs of the containers that are this recording's
	sightings  []located
	background map[string]flow.Set // flows that are testcontainers' own, by what they are
	onLink     flow.Set            // flows that no cluster would carry
	errs       []string
	stores     map[uint16]bool // ports of databases of API servers that the test runs
}

// settle tells what the recording has seen so far.
func (m *membership) settle() (settlement, error) {
	c := m.capture
	if err := c.session.Probe.Sync(); err != nil {
		return settlement{}, err
	}
	calls, err := c.session.Probe.NameCounts() // first: what connects meanwhile has said nothing
	if err != nil {
		return settlement{}, fmt.Errorf("the recording is incomplete: %w", err)
	}
	counts, err := c.session.Probe.Counts()
	if err != nil {
		return settlement{}, fmt.Errorf("the recording is incomplete: %w", err)
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
			return settlement{}, fmt.Errorf("the test has containers, and what they were cannot be told: %w", err)
		case err != nil && strangers:
			unasked = []string{fmt.Sprintf("containers were started meanwhile, which are not recorded: %v", err)}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &settling{membership: m, engine: engine, unasked: unasked, starters: starters, own: make(map[string]bool), background: make(map[string]flow.Set)}
	named := m.named()
	for _, seen := range m.seen {
		count, own := m.countOf(seen, named, counts, calls)
		if !own {
			continue
		}
		seen.flow.Count += count
		s.sightings = append(s.sightings, s.locate(seen))
	}
	for _, seen := range m.background {
		s.sightings = append(s.sightings, s.locate(seen))
	}
	s.sightings = append(s.sightings, s.unanswered()...)
	s.whose()
	return s.result()
}

// asksEngine reports whether something was seen that an engine may explain, whether there were containers that may be
// anybody's, and whether nothing can be said of this recording without an engine.
func (m *membership) asksEngine() (asks, strangers, needs bool) {
	needs = len(m.capture.containers.claims) > 0
	for s := range m.sightings() {
		switch {
		case s.event.Cgroup != m.capture.session.Leaf.ID:
			strangers = strangers || len(m.capture.containers.cgroups[s.event.Cgroup].ids) > 0
		case s.identity.Local:
			needs = needs || isProxy(s.identity.Listener.Name)
			asks = asks || s.identity.Relation == endpoint.NoListener // a port may be published without a process
		case s.identity.Relation == endpoint.Other:
			asks = asks || !flow.Public(s.event.Addr) && s.identity.Peer == (endpoint.Peer{})
		}
	}
	return asks, strangers, needs
}

// result puts the settlement together.
func (s *settling) result() (settlement, error) {
	out := settlement{workloads: s.workloads(), programs: make(map[program]opening)}
	var all []settled
	var set flow.Set
	s.findStores()
	for _, l := range s.sightings {
		f, ok := s.flow(l)
		if !ok {
			continue
		}
		all = append(all, f)
		if f.identity.Relation == endpoint.Other {
			f.namePeer(l)
			set.Add(f.flow)
			out.opened(f.flow)
		}
	}
	s.announceShared(all)
	out.flows = set.Sorted()
	out.changing = changing(s.config, all)
	out.unanswered = unanswered(s.config, s.identifier.Ephemeral, all)
	errs, lines := s.unrecordedContainers()
	s.errs, out.printed = append(s.errs, errs...), lines
	errs, lines = s.fromBefore()
	s.errs, out.printed = append(s.errs, errs...), append(out.printed, lines...)
	slices.Sort(s.notes)
	out.notices = slices.Concat(s.capture.limits, s.unasked, s.mixedNotices(all),
		s.containerNotices(), slices.Compact(s.notes), s.backgroundNotices(), s.tunnelNotices(all),
		lookupNotices(out.flows), linkNotices(s.onLink.Sorted()), s.runningNotices(len(out.workloads) > 0))
	for _, line := range s.forwarderLines(all) {
		out.notices, out.printed = append(out.notices, line), append(out.printed, s.name+": "+line)
	}
	s.errs = append(s.errs, s.unheard()...)
	s.errs = append(s.errs, s.goneContainers()...)
	s.errs = append(s.errs, s.namesakes()...)
	s.errs = append(s.errs, s.binariesErrors()...)
	s.errs = append(s.errs, s.runningErrors(len(out.workloads) > 0)...)
	s.errs = append(s.errs, ephemeralPeers(s.config, all)...)
	if len(s.errs) > 0 {
		slices.Sort(s.errs)
		return out, &optionError{slices.Compact(s.errs)}
	}
	return out, nil
}
