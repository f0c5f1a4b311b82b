package recorder

import (
	"net/netip"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Engine is what resolving a recording needs from a container engine: its containers, also those that are gone, and their
// addresses and ports over time (CLOCK_MONOTONIC). [docker.Watcher] implements it.
type Engine interface {
	Engine() docker.Engine
	Kind() string
	Endpoint() docker.Endpoint

	Containers() []docker.Container
	Container(id string) (docker.Container, bool)
	NetworkOwner(id string) string // the ID of the container that owns the network a container uses
	OnHostNetwork(id string) bool

	// AtAddress and AtPublished return the container that had an address, or published a port, at a time. Those that begin
	// with Around return the container that had it shortly before or after.
	AtAddress(addr netip.Addr, networks []string, at time.Duration) (docker.Container, bool)
	AroundAddress(addr netip.Addr, networks []string, at time.Duration) (docker.Container, bool)
	AtPublished(addr netip.AddrPort, p flow.Protocol, at time.Duration) (docker.Container, uint16, bool)
	AroundPublished(addr netip.AddrPort, p flow.Protocol, at time.Duration) (docker.Container, uint16, bool)
}

var _ Engine = (*docker.Watcher)(nil)
