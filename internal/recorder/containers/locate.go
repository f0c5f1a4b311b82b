package containers

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Attempt is an attempt to reach an address, behind which a container may be.
type Attempt struct {
	Addr     netip.Addr
	Port     uint16
	Protocol flow.Protocol
	Time     time.Duration
	From     *docker.Container // it made the attempt; nil for the test process

	Local     bool     // the address is one of this machine
	HasServer bool     // a process of this machine listens there
	Servers   []string // IDs of the containers of that process, outermost first
}

// Location is a container behind an address.
type Location struct {
	Container *docker.Container // nil if there is none
	Port      uint16            // of the container
	Published bool              // the attempt went to a port of this machine that the container publishes
}

// Locate returns the container that an attempt reaches.
func Locate(engine Engine, a Attempt) Location {
	addr := a.Addr.Unmap()
	if a.Local {
		at := netip.AddrPortFrom(addr, a.Port)
		if c, port, ok := engine.PublisherAt(at, a.Protocol, a.Time); ok {
			return Location{&c, port, true}
		}
		if c := Innermost(engine, a.Servers); c != nil {
			return Location{c, a.Port, false} // in the network of this machine
		}
		if c, port, ok := engine.PublisherNear(at, a.Protocol, a.Time); ok && !a.HasServer {
			return Location{&c, port, true} // before the container was up, or after it ended
		}
		return Location{Port: a.Port}
	}
	var networks []string
	if a.From != nil {
		for _, n := range NetworkOwner(engine, *a.From).Networks {
			networks = append(networks, n.NetworkID)
		}
	}
	if c, ok := engine.OwnerAt(addr, networks, a.Time); ok {
		return Location{&c, a.Port, false}
	}
	if c, ok := engine.OwnerNear(addr, networks, a.Time); ok {
		return Location{&c, a.Port, false}
	}
	return Location{Port: a.Port}
}

// resolverPort is the port of DNS.
const resolverPort = 53

// IsResolver reports whether an address and port are those of a container's resolver, according to Docker. The process
// that sent the query may have ended before its resolv.conf was read.
func IsResolver(c docker.Container, addr netip.Addr, port uint16) bool {
	addrs := c.Resolvers
	if len(addrs) == 0 {
		addrs = endpoint.OfContainers()
	}
	return port == resolverPort && slices.Contains(addrs, addr.Unmap())
}

// IsProxy reports whether an executable is one that serves published ports for Docker.
func IsProxy(executable string) bool {
	return executable == "docker-proxy" || executable == "rootlesskit"
}

// IsEngine reports whether an address and port are the TCP endpoint of the engine itself. name is the DNS name of the
// address, or "".
func IsEngine(engine Engine, addr netip.AddrPort, name string) bool {
	at := engine.Endpoint()
	host, port, _ := strings.Cut(at.Address, ":")
	if known, err := netip.ParseAddrPort(at.Address); err == nil {
		return at.Network == "tcp" && known.Port() == addr.Port() && known.Addr().Unmap() == addr.Addr().Unmap()
	}
	return at.Network == "tcp" && port == strconv.Itoa(int(addr.Port())) &&
		(strings.EqualFold(host, name) || host == "localhost" && addr.Addr().IsLoopback())
}

// IsEphemeral reports whether the kernel may have chosen the port at which a container serves a flow: the port is in
// the local port range of its network namespace, and no container in that namespace exposes it. machine reports whether
// a port is in the range of this machine.
func IsEphemeral(engine Engine, c docker.Container, f flow.Flow, machine func(port uint16) bool) bool {
	if !f.Protocol.HasPorts() {
		return false
	}
	pod := NetworkOwner(engine, c)
	switch {
	case engine.OnHostNetwork(c.ID):
		if !machine(f.Port) {
			return false
		}
	case !endpoint.EphemeralIn(pod.LocalPorts, f.Port):
		return false
	}
	return !slices.ContainsFunc(engine.Containers(), func(other docker.Container) bool {
		together := other.ID == c.ID || other.NetworkMode != "host" && NetworkOwner(engine, other).ID == pod.ID
		return together && other.Exposes(f.Port, f.Protocol)
	})
}
