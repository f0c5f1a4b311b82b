package recorder

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// finish replaces the kernel's ends of a flow by those that a policy names. It returns false if no policy has to allow
// the flow.
func (r *resolution) finish(f attributedFlow) (attributedFlow, bool) {
	if binary := r.binaryOf(f.flow.Process, f.from != nil); binary != "" {
		f.flow.Binaries = []string{binary}
	}
	switch {
	case f.missing, f.from != nil && !r.owned[f.from.ID]:
		return f, false // another test's, or unrelated
	case f.from != nil:
		f.flow.Source = r.endpointOf(r.engine, *f.from)
		f.flow.Process.Container, f.flow.Process.Image = f.from.Name, f.from.Image
	case r.options.Driver:
		f.flow.Source = flow.Endpoint{Kind: flow.Anyone}
	}
	if part := r.controlPlane(f); part != "" {
		r.recordInfrastructure(part, f.flow)
		return f, false
	}
	if f.to != nil && f.identity.Peer.Exact() && (!r.owned[f.to.ID] || f.identity.Peer.APIServer) {
		f.to = nil // Peer wins: another recording's container, or one that runs an API server
	}
	infrastructure := r.infrastructureOf(f)
	if f.to == nil && infrastructure != "" {
		r.recordInfrastructure(infrastructure, f.flow)
		return f, false
	}
	if f.to == nil {
		return r.toNoContainer(f)
	}
	if peer := f.identity.Peer; peer != (endpoint.Peer{}) && r.owned[f.to.ID] && !r.isCalled(*f.to, peer) {
		r.notices = append(r.notices, fmt.Sprintf("Peer(%q, %q) is container %s of this test, which goes by its own name: As gives it another",
			peer, peer.Name, r.endpointOf(r.engine, *f.to).Name))
	}
	f.identity.Relation, f.identity.Ephemeral, f.identity.Peer = endpoint.Other, false, endpoint.Peer{}
	if f.from != nil && networkOwner(r.engine, *f.from).ID == networkOwner(r.engine, *f.to).ID {
		return f, false // within one pod
	}
	if what := docker.Infrastructure(*f.to); what != "" {
		return r.toTestcontainers(f, what)
	}
	f.flow.Destination = r.endpointOf(r.engine, *f.to)
	f.flow.Destination.Addr = f.event.Addr.Unmap()
	f.flow.Port = f.port
	f.identity.Ephemeral, f.container = r.isEphemeral(*f.to, f.flow), describeServer(*f.to)
	f.nameContainer()
	if host := r.hostOf(*f.to); host != "" { // in production it has another address
		f.flow.Destination = flow.Endpoint{Kind: flow.External, Name: host, Evidence: flow.ByContainer}
	}
	if infrastructure != "" {
		r.recordInfrastructure(infrastructure, f.flow)
		return f, false
	}
	return f, true
}

// isCalled reports whether a container has the name that a Peer gives it.
func (r *resolution) isCalled(c docker.Container, peer endpoint.Peer) bool {
	e := r.endpointOf(r.engine, c)
	return slices.Contains([]string{e.Name, e.String(), e.String() + ".svc"}, peer.Name)
}

// toNoContainer finishes a flow with a destination other than a container.
func (r *resolution) toNoContainer(f attributedFlow) (attributedFlow, bool) {
	switch {
	case isProxy(f.identity.Listener.Name) && f.identity.Local:
		r.errs = append(r.errs, fmt.Sprintf("%s is a port that a container publishes, and the Docker engine does not say which: it had gone before it could be asked: pass the recording to the container", f.flow.Target()))
		return f, false
	case r.engine != nil && r.isEngine(f):
		r.recordInfrastructure("the Docker engine", f.flow)
		return f, false
	case f.from == nil && r.options.Driver:
		return f, false // opened by the driver itself
	case f.identity.Test:
		return r.toTest(f, f.event.Port)
	case staysOnLink(f.identity, f.event.Addr):
		r.onLink.Add(f.flow)
		return f, false
	case r.fromPeer(f) && (f.isUnnamed || f.identity.Relation == endpoint.NoListener):
		return f, false // no policy applies to a peer
	case f.isUnnamed:
		r.errs = append(r.errs, r.unnamedConnection(f)...)
	}
	return f, f.identity.Relation != endpoint.Self
}

// toTestcontainers finishes a flow to a container of testcontainers' own.
func (r *resolution) toTestcontainers(f attributedFlow, what string) (attributedFlow, bool) {
	if f.from != nil && what == docker.HostAccess && f.port != sshPort {
		return r.toTest(f, f.port) // through the tunnel, to a port of the test process
	}
	f.flow.Destination = flow.Endpoint{Kind: flow.Workload, Name: docker.Name(*f.to), Addr: f.event.Addr.Unmap()}
	f.flow.Port = f.port
	r.recordInfrastructure(what, f.flow)
	return f, false
}

// sshPort is the port at which testcontainers connects to its container for host access.
const sshPort = 22

// toTest finishes a flow of a container to the test process.
func (r *resolution) toTest(f attributedFlow, port uint16) (attributedFlow, bool) {
	peer := r.identifier.Peer(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	f.identity.Relation, f.identity.Test, f.flow.Port = endpoint.Other, true, port
	f.identity.Ephemeral = peer.PodPort == 0 && r.identifier.Ephemeral(port)
	switch {
	case peer.Exact():
		f.identity.Peer = peer
		f.flow.Destination = r.identifier.OfPeer(peer, f.event.Addr.Unmap())
		if peer.PodPort != 0 {
			f.flow.Port = peer.PodPort
		} else if peer.APIServer {
			f.flow.Port, f.identity.Ephemeral = endpoint.APIServerPort(port), false
		}
	case r.options.Driver && r.fromPeer(f):
		return f, false // neither end has a policy
	case r.options.Driver:
		r.errs = append(r.errs, fmt.Sprintf("%s opens port %d of the test process, which is no workload (Driver): say what it stands for: Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Source, port, port, endpoint.ExamplePort))
		return f, false
	default:
		f.flow.Destination = r.source
		f.flow.Destination.Addr, f.flow.Destination.Evidence = f.event.Addr.Unmap(), flow.ByListener
	}
	return f, true
}

// recordInfrastructure records a flow of the test's infrastructure, which is in no policy.
func (r *resolution) recordInfrastructure(what string, f flow.Flow) {
	set := r.infrastructure[what]
	set.Add(f)
	r.infrastructure[what] = set
}
