package netzerotest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// flow turns a sighting into what a policy has to know of it; false where that is nothing.
func (s *settling) flow(l located) (settled, bool) {
	f := settled{flow: l.flow, identity: l.identity, key: l.event.Key, stray: l.stray}
	f.flow.Binaries = s.binaryOf(f.flow.Process, l.from != nil)
	switch {
	case l.missing, l.from != nil && !s.own[l.from.ID]:
		return f, false // somebody else's
	case l.from != nil:
		f.flow.Source = s.endpointOf(s.engine, *l.from)
		f.flow.Process.Container, f.flow.Process.Image = l.from.Name, l.from.Image
	case s.config.driver:
		f.flow.Source = flow.Endpoint{Kind: flow.Anyone}
	}
	if what := s.controlPlane(l); what != "" {
		s.note(what, f.flow)
		return f, false
	}
	if l.to != nil && l.identity.Peer.Exact() && (!s.own[l.to.ID] || l.identity.Peer.APIServer) {
		l.to = nil // the user's word on what is not this recording's, or runs an API server
	}
	machinery := s.machinery(l)
	if l.to == nil && machinery != "" {
		s.note(machinery, f.flow)
		return f, false
	}
	if l.to == nil {
		return s.elsewhere(l, f)
	}
	if peer := l.identity.Peer; peer != (endpoint.Peer{}) && s.own[l.to.ID] && !s.isCalled(*l.to, peer) {
		s.notes = append(s.notes, fmt.Sprintf("Peer(%q, %q) is container %s of this test, which goes by its own name: As gives it another", peer, peer.Name, s.endpointOf(s.engine, *l.to).Name))
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
	f.identity.Ephemeral, f.server = s.isEphemeral(*l.to, f.flow), describeServer(*l.to)
	f.nameContainer(l)
	if host := s.hostOf(*l.to); host != "" { // whose address is another one
		f.flow.Destination = flow.Endpoint{Kind: flow.External, Name: host, Evidence: flow.ByContainer}
	}
	if machinery != "" {
		s.note(machinery, f.flow)
		return f, false
	}
	return f, true
}

// isCalled reports whether a container goes by the name that a Peer gives it.
func (s *settling) isCalled(c docker.Container, peer endpoint.Peer) bool {
	e := s.endpointOf(s.engine, c)
	return slices.Contains([]string{e.Name, e.String(), e.String() + ".svc"}, peer.Name)
}

// elsewhere is flow for what goes to no container.
func (s *settling) elsewhere(l located, f settled) (settled, bool) {
	switch {
	case isProxy(l.identity.Listener.Name) && l.identity.Local:
		s.errs = append(s.errs, fmt.Sprintf("%s is a port that a container publishes, and the Docker engine does not say which: it had gone before it could be asked: pass the recording to the container", f.flow.Target()))
		return f, false
	case s.engine != nil && s.isEngine(l):
		s.note("the Docker engine", f.flow)
		return f, false
	case l.from == nil && s.config.driver:
		return f, false // the driver's own
	case l.identity.Test:
		return s.toTest(l, f, l.event.Port)
	case staysOnLink(l.identity, l.event.Addr):
		s.onLink.Add(f.flow)
		return f, false
	case s.fromPeer(l) && (l.unnamed || f.identity.Relation == endpoint.NoListener):
		return f, false // no policy would have to allow it
	case l.unnamed:
		s.errs = append(s.errs, s.unnamedConnection(f)...)
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
	f.identity.Relation, f.identity.Test, f.flow.Port = endpoint.Other, true, port
	f.identity.Ephemeral = peer.PodPort == 0 && s.identifier.Ephemeral(port)
	switch {
	case peer.Exact():
		f.identity.Peer = peer
		f.flow.Destination = s.identifier.OfPeer(peer, l.event.Addr.Unmap())
		if peer.PodPort != 0 {
			f.flow.Port = peer.PodPort
		} else if peer.APIServer {
			f.flow.Port, f.identity.Ephemeral = endpoint.APIServerPort(port), false
		}
	case s.config.driver && s.fromPeer(l):
		return f, false // neither end has a policy
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

func (s *settling) note(what string, f flow.Flow) {
	set := s.background[what]
	set.Add(f)
	s.background[what] = set
}
