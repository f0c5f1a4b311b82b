package netzerotest

import (
	"errors"
	"fmt"
	"maps"
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
	engine  *docker.Watcher // nil where there is none, and so no container
	unasked []string        // notices of an engine that is absent, and missed

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
	counts, calls := maps.Collect(c.session.Probe.Counts()), maps.Collect(c.session.Probe.NameCounts())
	c.mu.Lock()
	asks, strangers, needs := m.asksEngine()
	c.mu.Unlock()
	var engine *docker.Watcher
	var unasked []string
	if asks || strangers || needs {
		var err error
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
	s := &settling{membership: m, engine: engine, unasked: unasked, own: make(map[string]bool), background: make(map[string]flow.Set)}
	for _, seen := range m.seen {
		count, own := c.countOf(seen, counts, calls)
		if !own {
			continue
		}
		seen.flow.Count += count
		s.sightings = append(s.sightings, s.locate(seen))
	}
	s.whose()
	return s.result()
}

// asksEngine reports whether something was seen that an engine may explain, whether there were containers that may be
// anybody's, and whether nothing can be said of this recording without an engine.
func (m *membership) asksEngine() (asks, strangers, needs bool) {
	needs = len(m.capture.containers.claims) > 0
	for _, s := range m.seen {
		switch {
		case s.event.Cgroup != m.capture.session.Leaf.ID:
			strangers = strangers || len(m.capture.containers.cgroups[s.event.Cgroup].ids) > 0
		case s.identity.Local:
			needs = needs || isProxy(s.identity.Listener.Name)
			asks = asks || s.identity.Relation == endpoint.NobodyListens // a port may be published without a process
		case s.identity.Relation == endpoint.Other:
			asks = asks || !flow.Public(s.event.Addr) && s.identity.Peer == (endpoint.Peer{})
		}
	}
	return asks, strangers, needs
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
	if l.from != nil && e.Port == resolverPort && isResolverOf(*l.from, addr) {
		l.identity.Endpoint, l.identity.Relation = flow.ClusterResolver, endpoint.Other
		l.identity.Endpoint.Addr, l.identity.Endpoint.Evidence = addr, flow.ByResolvConf
		l.flow.Destination = l.identity.Endpoint
	}
	if l.identity.Endpoint.Kind == flow.Resolver {
		return l // even where it is a container
	}
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

// resolverPort is where resolvers listen.
const resolverPort = 53

// isResolverOf reports whether an address is that of a container's resolver, as Docker has it: the process that asked, and
// with it the resolv.conf that it saw, may have gone before anybody looked.
func isResolverOf(c docker.Container, addr netip.Addr) bool {
	if len(c.Resolvers) > 0 {
		return slices.Contains(c.Resolvers, addr)
	}
	return slices.Contains(endpoint.OfContainers(), addr)
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
	out.notices = slices.Concat(s.capture.limits, s.unasked, s.alongsideNotices(), nobodyNotices(all), ephemeralNotices(s.config, all), s.containerNotices(), s.backgroundNotices())
	s.errs = append(s.errs, s.unheard()...)
	if s.config.driver && len(out.workloads) == 0 {
		s.errs = append(s.errs, "Driver: the test process is no workload, and there was no container that is one: pass the recording to those that the test starts")
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
	host, port, _ := strings.Cut(at.Address, ":")
	if engine, err := netip.ParseAddrPort(at.Address); err == nil {
		return at.Network == "tcp" && engine.Port() == l.event.Port && engine.Addr().Unmap() == l.event.Addr.Unmap()
	}
	return at.Network == "tcp" && port == strconv.Itoa(int(l.event.Port)) &&
		(strings.EqualFold(host, l.name) || host == "localhost" && l.event.Addr.IsLoopback())
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

// unheard says what of this recording may be missing because nothing was heard of a container.
func (s *settling) unheard() []string {
	silent := make(map[string]bool) // containers of which nothing was heard
	for id := range s.own {
		silent[id] = true
	}
	unknown := 0
	for id, b := range s.capture.containers.cgroups {
		for _, container := range b.ids {
			delete(silent, container)
		}
		if b.path == "" && slices.ContainsFunc(s.sightings, func(l located) bool { return l.event.Cgroup == id }) {
			unknown++
		}
	}
	var texts []string
	for id := range silent {
		c, _ := s.engine.Container(id)
		claim := s.capture.containers.claims[id]
		switch {
		case s.engine.Engine().CgroupDriver == "none":
			texts = append(texts, fmt.Sprintf("container %s is not recorded: its engine, %s, gives containers no cgroup of their own: "+
				"run it with a systemd user session (rootless), or as root", c.Name, s.engine.Kind()))
		case claim != nil && claim.elsewhere:
			texts = append(texts, fmt.Sprintf("container %s is not recorded: it does not run on this machine's kernel, but in a virtual machine or on another host (%s): "+
				"use an engine of this machine", c.Name, s.engine.Engine().Host))
		}
	}
	if unknown > 0 && len(silent) > 0 {
		texts = append(texts, fmt.Sprintf("the recording is incomplete: %d cgroups were gone before they could be told from others, and %d containers of this test were not heard of: "+
			"on a kernel with BTF they are known in time", unknown, len(silent)))
	}
	return texts
}
