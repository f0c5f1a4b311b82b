package netzerotest

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/probe"
)

// settled is a flow of this recording, and what it rests on.
type settled struct {
	flow     flow.Flow
	identity endpoint.Identity
	key      probe.Key
}

// settling is the work on a settlement. It is done with capture.mu held.
type settling struct {
	*membership
	engine *docker.Watcher // nil where there is none, and so no container
	counts map[probe.Key]uint64

	own        map[string]bool // IDs of the containers that are this recording's
	sightings  []located
	background map[string]flow.Set // flows that are testcontainers' own, by what they are
	errs       []string
}

// located is a sighting with the containers at its ends, nil where an end is none.
type located struct {
	sighting
	from, to *docker.Container
	port     uint16 // the container's, where to is one
	missing  bool   // from is a container of which nothing is known
}

// settle tells what the recording has seen so far.
func (m *membership) settle() (settlement, error) {
	c := m.capture
	if err := c.session.Probe.Sync(); err != nil {
		return settlement{}, err
	}
	counts := maps.Collect(c.session.Probe.Counts())
	c.mu.Lock()
	asks, needs := m.asksEngine()
	c.mu.Unlock()
	var engine *docker.Watcher
	if asks || needs {
		var err error
		if engine, err = c.containers.engine(); err != nil && needs {
			return settlement{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &settling{membership: m, engine: engine, counts: counts, own: make(map[string]bool), background: make(map[string]flow.Set)}
	for key, seen := range m.seen {
		seen.flow.Count += counts[key.Key]
		s.sightings = append(s.sightings, s.locate(seen))
	}
	s.whose()
	return s.result()
}

// asksEngine reports whether something was seen that an engine may explain, and whether only an engine can.
func (m *membership) asksEngine() (asks, needs bool) {
	if len(m.capture.containers.claims) > 0 {
		return true, true
	}
	for _, s := range m.seen {
		switch {
		case s.event.Cgroup != m.capture.session.Leaf.ID:
			needs = needs || len(m.capture.containers.cgroups[s.event.Cgroup].ids) > 0
		case s.identity.Local:
			needs = needs || isProxy(s.identity.Listener.Name)
			asks = asks || s.identity.Relation == endpoint.NobodyListens // a port may be published without a process
		case s.identity.Relation == endpoint.Other:
			asks = asks || !flow.Public(s.event.Addr) && s.identity.Peer == (endpoint.Peer{})
		}
	}
	return asks, needs
}

// isProxy reports whether an executable is the one by which Docker serves a published port.
func isProxy(name string) bool { return name == "docker-proxy" || name == "rootlesskit" }

// container returns the innermost container of a path that the engine knows.
func (s *settling) container(ids []string) *docker.Container {
	if s.engine == nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		if c, known := s.engine.Container(id); known {
			return &c
		}
	}
	return nil
}

// locate finds the containers at the ends of a sighting.
func (s *settling) locate(seen sighting) located {
	e := seen.event
	l := located{sighting: seen, port: e.Port}
	if e.Cgroup != s.capture.session.Leaf.ID {
		l.from = s.container(s.capture.containers.cgroups[e.Cgroup].ids)
		l.missing = l.from == nil
	}
	if s.engine == nil || l.missing || seen.identity.Peer.Exact() {
		return l
	}
	addr := e.Addr.Unmap()
	var networks []string
	if l.from != nil {
		h := home(s.engine, *l.from)
		for _, n := range h.Networks {
			networks = append(networks, n.NetworkID)
		}
	}
	if seen.identity.Local {
		at := netip.AddrPortFrom(addr, e.Port)
		if c, port, ok := s.engine.AtPublished(at, e.Protocol, e.Time); ok {
			l.to, l.port = &c, port
		} else if c := s.container(seen.server); c != nil {
			l.to = c // in the network of this machine
		} else if c, port, ok := s.engine.AroundPublished(at, e.Protocol); ok && seen.identity.Listener == (endpoint.Owner{}) {
			l.to, l.port = &c, port // an attempt before it was up, or after
		}
		return l
	}
	if c, ok := s.engine.AtAddress(addr, networks, e.Time); ok {
		l.to = &c
	} else if c, ok := s.engine.AroundAddress(addr, networks); ok {
		l.to = &c
	}
	return l
}

// whose finds out which containers are this recording's: those that were passed to it, and of those that nobody claims
// each that was started meanwhile and talks to what is this recording's, or belongs together with it.
func (s *settling) whose() {
	if s.engine == nil {
		return
	}
	free := make(map[string]docker.Container)
	for _, c := range s.engine.Containers() {
		claim := s.capture.containers.claims[c.ID]
		switch label := c.Labels[docker.LabelRecording]; {
		case claim != nil:
			if _, by := claim.by[s.membership]; by {
				s.own[c.ID] = true
			}
		case label == s.id:
			s.own[c.ID] = true
		case label == "" && c.Started >= s.started && docker.Infrastructure(c) == "":
			free[c.ID] = c
		}
	}
	for again := true; again; {
		again = false
		for id, c := range free {
			if s.belongs(c) {
				s.own[id], again = true, true
				delete(free, id)
			}
		}
	}
}

// belongs reports whether something ties a container to this recording.
func (s *settling) belongs(c docker.Container) bool {
	for _, l := range s.sightings {
		if l.missing || l.to == nil {
			continue
		}
		mine := l.from == nil || s.own[l.from.ID] // the test process, or one of its containers
		if mine && l.to.ID == c.ID || s.own[l.to.ID] && l.from != nil && l.from.ID == c.ID {
			return true
		}
	}
	for _, other := range s.engine.Containers() {
		if !s.own[other.ID] {
			continue
		}
		if project := c.Labels[labelProject]; project != "" && other.Labels[labelProject] == project {
			return true
		}
		if home(s.engine, c).ID == home(s.engine, other).ID {
			return true
		}
	}
	return false
}

// Labels of others.
const (
	labelProject        = "com.docker.compose.project" // to which compose project a container belongs
	labelTestcontainers = "org.testcontainers"         // "true": testcontainers made it
)

// result puts the settlement together.
func (s *settling) result() (settlement, error) {
	out := settlement{workloads: s.workloads()}
	var all []settled
	var set flow.Set
	for _, l := range s.sightings {
		f, ok := s.flow(l)
		if !ok {
			continue
		}
		all = append(all, f)
		if f.identity.Relation == endpoint.Other {
			set.Add(f.flow)
		}
	}
	out.flows = set.Sorted()
	out.notices = slices.Concat(s.capture.limits, s.alongsideNotices(), nobodyNotices(all), ephemeralNotices(s.config, all), s.containerNotices(), s.backgroundNotices())
	if missing := s.unidentified(); missing != "" {
		s.errs = append(s.errs, missing)
	}
	s.errs = append(s.errs, ephemeralPeers(s.config, all)...)
	if len(s.errs) > 0 {
		slices.Sort(s.errs)
		return out, &optionError{slices.Compact(s.errs)}
	}
	return out, nil
}

// flow turns a sighting into what a policy has to know of it; false where that is nothing.
func (s *settling) flow(l located) (settled, bool) {
	f := settled{flow: l.flow, identity: l.identity, key: l.event.Key}
	switch {
	case l.missing, l.from != nil && !s.own[l.from.ID]:
		return f, false // somebody else's
	case l.from != nil:
		f.flow.Source = s.endpointOf(s.engine, *l.from)
	case s.config.driver:
		f.flow.Source = flow.Endpoint{Kind: flow.Anyone}
	}
	if l.to == nil {
		return s.elsewhere(l, f)
	}
	f.identity.Relation, f.identity.Ephemeral, f.identity.Peer = endpoint.Other, false, endpoint.Peer{}
	if l.from != nil && home(s.engine, *l.from).ID == home(s.engine, *l.to).ID {
		return f, false // within one pod
	}
	if what := docker.Infrastructure(*l.to); what != "" {
		return s.infrastructure(l, f, what)
	}
	f.flow.Destination = s.endpointOf(s.engine, *l.to)
	f.flow.Destination.Addr = l.event.Addr.Unmap()
	f.flow.Port = l.port
	if l.from == nil && s.capture.containers.waited(l.to.ID, l.event.Time) {
		s.note("wait strategies", f.flow)
		return f, false
	}
	return f, true
}

// elsewhere is flow for what goes to no container.
func (s *settling) elsewhere(l located, f settled) (settled, bool) {
	switch {
	case isProxy(l.identity.Listener.Name) && l.identity.Local:
		s.errs = append(s.errs, fmt.Sprintf("%s is a port that a container publishes, and the Docker engine does not say which: it had gone before it could be asked", f.flow.Target()))
		return f, false
	case s.engine != nil && s.isEngine(l):
		s.note("the Docker engine", f.flow)
		return f, false
	case l.from == nil && s.config.driver:
		return f, false // the driver's own
	case l.identity.Test:
		return s.toTest(l, f, l.event.Port)
	}
	return f, f.identity.Relation != endpoint.Self
}

// infrastructure is flow for what goes to a container of testcontainers itself.
func (s *settling) infrastructure(l located, f settled, what string) (settled, bool) {
	if l.from != nil && what == docker.HostAccess && l.port != sshPort {
		return s.toTest(l, f, l.port) // through it, to a port of the test process
	}
	f.flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: docker.Name(*l.to), Addr: l.event.Addr.Unmap()}
	f.flow.Port = l.port
	s.note(what, f.flow)
	return f, false
}

// sshPort is where testcontainers' own client reaches the container of host access.
const sshPort = 22

// toTest is flow for what a container opens to the test process.
func (s *settling) toTest(l located, f settled, port uint16) (settled, bool) {
	peer := s.identifier.Peer(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	f.identity.Relation, f.flow.Port = endpoint.Other, port
	switch {
	case peer.Exact():
		f.identity.Peer = peer
		f.flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: peer.Name, Addr: l.event.Addr.Unmap(), Evidence: flow.ByOption}
		if peer.PodPort != 0 {
			f.flow.Port = peer.PodPort
		}
	case s.config.driver:
		s.errs = append(s.errs, fmt.Sprintf("%s opens port %d of the test process, which is no workload (Driver): say what it stands for: Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Source, port, port, examplePort))
		return f, false
	default:
		f.flow.Destination = s.source
		f.flow.Destination.Addr, f.flow.Destination.Evidence = l.event.Addr.Unmap(), flow.ByListener
	}
	return f, true
}

// isEngine reports whether something goes to the engine itself, over TCP.
func (s *settling) isEngine(l located) bool {
	at := s.engine.Endpoint()
	host, port, err := net.SplitHostPort(at.Address)
	if at.Network != "tcp" || err != nil || port != strconv.Itoa(int(l.event.Port)) {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap() == l.event.Addr.Unmap() || strings.EqualFold(host, l.name) || host == "localhost" && l.event.Addr.IsLoopback()
}

func (s *settling) note(what string, f flow.Flow) {
	set := s.background[what]
	set.Add(f)
	s.background[what] = set
}

// workloads returns who gets a policy: the test process, unless it only drives, and this recording's containers.
func (s *settling) workloads() []policy.Subject {
	var subjects []policy.Subject
	if !s.config.driver {
		subjects = append(subjects, policy.Subject{Workload: s.config.subject()})
	}
	names := make(map[string]bool)
	for id := range s.own {
		c, known := s.engine.Container(id)
		if !known || docker.Infrastructure(c) != "" || c.Started == 0 {
			continue
		}
		if e := s.endpointOf(s.engine, c); !names[e.Name] {
			names[e.Name] = true
			subjects = append(subjects, policy.Subject{Workload: policy.Workload{Name: e.Name, Namespace: e.Namespace}, Whole: true})
		}
	}
	slices.SortFunc(subjects, func(a, b policy.Subject) int { return strings.Compare(a.Name, b.Name) })
	return subjects
}

// unidentified says that something of this recording may be missing because it is not known which container did it.
func (s *settling) unidentified() string {
	silent := make(map[string]bool) // containers of which nothing was heard
	for id := range s.own {
		silent[id] = true
	}
	lost := 0
	for id, b := range s.capture.containers.cgroups {
		for _, container := range b.ids {
			delete(silent, container)
		}
		if b.path == "" && slices.ContainsFunc(s.sightings, func(l located) bool { return l.event.Cgroup == id }) {
			lost++
		}
	}
	if lost == 0 || len(silent) == 0 {
		return ""
	}
	return fmt.Sprintf("the recording is incomplete: %d cgroups were gone before they could be told from others, and %d containers of this test were not heard of: "+
		"a kernel with BTF tells their names in time", lost, len(silent))
}
