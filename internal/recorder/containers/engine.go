// Package containers decides which container a flow goes to, at which port, and which containers belong to a recording.
//
// It knows containers through the interface [Engine], which package docker implements. It reads goroutine stacks of
// this process, because an engine does not report which of its clients started a container. It does not wait for the
// engine, and does not name containers: package recorder does.
package containers

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Engine is what resolving a recording needs from a container engine: its containers, also those that are gone, and
// their addresses and ports over time (CLOCK_MONOTONIC). [docker.Watcher] implements it.
type Engine interface {
	Engine() docker.Engine
	Kind() string
	Endpoint() docker.Endpoint

	Containers() []docker.Container
	Container(id string) (docker.Container, bool)
	NetworkOwner(id string) string // the ID of the container that owns the network a container uses
	OnHostNetwork(id string) bool

	// OwnerAt returns the container that had an address at a time, and PublisherAt the one that published a port.
	// OwnerNear and PublisherNear return the container that did so shortly before or after.
	OwnerAt(addr netip.Addr, networks []string, at time.Duration) (docker.Container, bool)
	OwnerNear(addr netip.Addr, networks []string, at time.Duration) (docker.Container, bool)
	PublisherAt(addr netip.AddrPort, p flow.Protocol, at time.Duration) (docker.Container, uint16, bool)
	PublisherNear(addr netip.AddrPort, p flow.Protocol, at time.Duration) (docker.Container, uint16, bool)
}

var _ Engine = (*docker.Watcher)(nil)

// Labels of other tools.
const (
	LabelProject        = "com.docker.compose.project" // the compose project of the container
	LabelTestcontainers = "org.testcontainers"         // "true": testcontainers created it
)

// Innermost returns the innermost of some nested containers that the engine knows, or nil. The IDs are outermost first.
// The engine may be nil.
func Innermost(engine Engine, ids []string) *docker.Container {
	if engine == nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		if c, known := engine.Container(id); known {
			return &c
		}
	}
	return nil
}

// NetworkOwner returns the container whose network a container uses. Usually that is the container itself.
func NetworkOwner(engine Engine, c docker.Container) docker.Container {
	if owner, known := engine.Container(engine.NetworkOwner(c.ID)); known {
		return owner
	}
	return c
}
