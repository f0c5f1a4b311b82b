package recorder

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// outcome is what a flow is to a recording.
type outcome struct {
	resolvedFlow                   // with the ends that a policy names
	inPolicy     bool              // a policy has to allow the flow
	part         string            // of the test's infrastructure, if the flow belongs to it
	onLink       bool              // the destination is a multicast group, which no cluster routes
	notice       *recording.Notice // about its destination, if any
	errs         []string
}

// outcomeOf replaces the kernel's ends of a flow by those that a policy names. The initiator must belong to the
// recording.
func (s *resolution) outcomeOf(f resolvedFlow) outcome {
	if binary := s.binaryOf(f.flow.Process, f.from != nil); binary != "" {
		f.flow.Binaries = []string{binary}
	}
	switch {
	case f.from != nil:
		f.flow.Source = s.endpointOf(s.engine, *f.from)
		f.flow.Process.Container, f.flow.Process.Image = f.from.Name, f.from.Image
	case s.options.Driver:
		f.flow.Source = flow.Endpoint{Kind: flow.Anyone}
	}
	if part := s.controlPlane(f); part != "" {
		return outcome{resolvedFlow: f, part: part}
	}
	if f.to != nil && f.identity.Peer.Exact() && (!s.owned[f.to.ID] || f.identity.Peer.APIServer) {
		f.to = nil // Peer wins: another recording's container, or one that runs an API server
	}
	part := s.infrastructureOf(f)
	if f.to == nil && part != "" {
		return outcome{resolvedFlow: f, part: part}
	}
	if f.to == nil {
		return s.toNoContainer(f)
	}
	return s.toContainer(f, part)
}

// toContainer is outcomeOf for a flow to a container. part is the part of the test's infrastructure that opened it, or
// "".
func (s *resolution) toContainer(f resolvedFlow, part string) outcome {
	var notice *recording.Notice
	if peer := f.identity.Peer; peer != (endpoint.Peer{}) && s.owned[f.to.ID] && !s.isCalled(*f.to, peer) {
		n := recording.Noticef(recording.CodePeerIsContainer,
			"Peer(%q, %q) is container %s of this test, which keeps its own name: use As to change it",
			peer, peer.Name, s.endpointOf(s.engine, *f.to).Name)
		notice = &n
	}
	f.identity.Relation, f.identity.Ephemeral, f.identity.Peer = endpoint.Other, false, endpoint.Peer{}
	if f.from != nil && containers.NetworkOwner(s.engine, *f.from).ID == containers.NetworkOwner(s.engine, *f.to).ID {
		return outcome{resolvedFlow: f, notice: notice} // within one pod
	}
	if what := docker.Infrastructure(*f.to); what != "" {
		o := s.toTestcontainers(f, what)
		o.notice = notice
		return o
	}
	f.flow.Destination = s.endpointOf(s.engine, *f.to)
	f.flow.Destination.Addr = f.event.Addr.Unmap()
	f.flow.Port = f.port
	f.identity.Ephemeral = containers.IsEphemeral(s.engine, *f.to, f.flow, s.identifier.Ephemeral)
	f.container = describeServer(*f.to)
	f.describeContainer()
	if host := s.hostOf(*f.to); host != "" { // in production it has another address
		f.flow.Destination = flow.Endpoint{Kind: flow.External, Name: host, Evidence: flow.ByContainer}
	}
	return outcome{resolvedFlow: f, inPolicy: part == "", part: part, notice: notice}
}

// isCalled reports whether a container has the name that a Peer gives it.
func (s *resolution) isCalled(c docker.Container, peer endpoint.Peer) bool {
	e := s.endpointOf(s.engine, c)
	return slices.Contains([]string{e.Name, e.String(), e.String() + ".svc"}, peer.Name)
}

// toNoContainer is outcomeOf for a flow with a destination other than a container.
func (s *resolution) toNoContainer(f resolvedFlow) outcome {
	o := outcome{resolvedFlow: f}
	switch {
	case containers.IsProxy(f.identity.Listener.Name) && f.identity.Local:
		o.errs = []string{fmt.Sprintf("%s is a port that a container publishes, and the Docker engine does not "+
			"know which: the container was removed before the engine was queried: pass the recording to the "+
			"container", f.flow.Target())}
	case s.engine != nil && s.isEngine(f):
		o.part = "the Docker engine"
	case f.from == nil && s.options.Driver: // opened by the driver itself
	case f.identity.Test:
		return s.toTest(f, f.event.Port)
	case staysOnLink(f.identity, f.event.Addr):
		o.onLink = true
	case s.fromPeer(f) && (f.isUnnamed || f.identity.Relation == endpoint.NoListener): // no policy applies to a peer
	case f.isUnnamed:
		o.errs = s.unnamedConnection(f)
		fallthrough
	default:
		o.inPolicy = f.identity.Relation != endpoint.Self
	}
	return o
}

// toTestcontainers is outcomeOf for a flow to a container of testcontainers' own.
func (s *resolution) toTestcontainers(f resolvedFlow, part string) outcome {
	if f.from != nil && part == docker.HostAccess && f.port != sshPort {
		return s.toTest(f, f.port) // through the tunnel, to a port of the test process
	}
	f.flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: docker.Name(*f.to), Addr: f.event.Addr.Unmap()}
	f.flow.Port = f.port
	return outcome{resolvedFlow: f, part: part}
}

// sshPort is the port at which testcontainers connects to its container for host access.
const sshPort = 22

// toTest is outcomeOf for a flow of a container to the test process.
func (s *resolution) toTest(f resolvedFlow, port uint16) outcome {
	peer := s.identifier.Peer(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	f.identity.Relation, f.identity.Test, f.flow.Port = endpoint.Other, true, port
	f.identity.Ephemeral = peer.PodPort == 0 && s.identifier.Ephemeral(port)
	switch {
	case peer.Exact():
		f.identity.Peer = peer
		f.flow.Destination = s.identifier.OfPeer(peer, f.event.Addr.Unmap())
		if peer.PodPort != 0 {
			f.flow.Port = peer.PodPort
		} else if peer.APIServer {
			f.flow.Port, f.identity.Ephemeral = endpoint.APIServerPort(port), false
		}
	case s.options.Driver && s.fromPeer(f):
		return outcome{resolvedFlow: f} // neither end has a policy
	case s.options.Driver:
		return outcome{resolvedFlow: f, errs: []string{fmt.Sprintf("%s opens port %d of the test process, "+
			"which is no workload (Driver): say what it stands for: Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Source, port, port, endpoint.ExamplePort)}}
	default:
		f.flow.Destination = s.source
		f.flow.Destination.Addr, f.flow.Destination.Evidence = f.event.Addr.Unmap(), flow.ByListener
	}
	return outcome{resolvedFlow: f, inPolicy: true}
}

// describeContainer adds the container that a flow goes to, and the published port that was dialled.
func (f *resolvedFlow) describeContainer() {
	f.flow.Named, f.flow.Dialled = fmt.Sprintf("container %s (image %s)", f.to.Name, f.to.Image), 0
	if f.published {
		f.flow.Dialled = f.event.Port
	}
}

// describePeer adds the Peer that named the destination of a flow, and the port that was dialled if the Peer has
// another.
func (f *resolvedFlow) describePeer() {
	peer := f.identity.Peer
	if f.flow.Destination.Evidence != flow.ByOption || peer.At == "" {
		return
	}
	f.flow.Named = "Peer at " + peer.At
	if peer.PodPort != 0 && peer.PodPort != f.event.Port {
		f.flow.Dialled = f.event.Port
	}
}
