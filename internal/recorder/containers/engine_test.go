package containers

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

type anyEngine = Engine // an embedded field of another name than the method Engine

// fakeEngine is an engine with containers that do not change.
type fakeEngine struct {
	anyEngine
	containers []docker.Container
	owners     map[string]string // the owners of networks, of containers that use another one's
	endpoint   docker.Endpoint

	addresses map[netip.Addr]string     // of containers, by address
	published map[netip.AddrPort]string // of containers, which serve at port 80
	past      bool                      // the containers have ended, so that only OwnerNear and PublisherNear find them
}

func (e fakeEngine) Containers() []docker.Container { return e.containers }
func (e fakeEngine) Endpoint() docker.Endpoint      { return e.endpoint }
func (e fakeEngine) OnHostNetwork(id string) bool   { return e.NetworkOwner(id) == "host" }

func (e fakeEngine) NetworkOwner(id string) string {
	if owner, shared := e.owners[id]; shared {
		return owner
	}
	return id
}

func (e fakeEngine) Container(id string) (docker.Container, bool) {
	i := slices.IndexFunc(e.containers, func(c docker.Container) bool { return c.ID == id })
	if i < 0 {
		return docker.Container{}, false
	}
	return e.containers[i], true
}

func (e fakeEngine) OwnerNear(addr netip.Addr, _ []string, _ time.Duration) (docker.Container, bool) {
	return e.Container(e.addresses[addr])
}

func (e fakeEngine) OwnerAt(addr netip.Addr, networks []string, at time.Duration) (docker.Container, bool) {
	c, known := e.OwnerNear(addr, networks, at)
	return c, known && !e.past
}

func (e fakeEngine) PublisherNear(
	addr netip.AddrPort, _ flow.Protocol, _ time.Duration,
) (docker.Container, uint16, bool) {
	c, known := e.Container(e.published[addr])
	return c, 80, known
}

func (e fakeEngine) PublisherAt(
	addr netip.AddrPort, p flow.Protocol, at time.Duration,
) (docker.Container, uint16, bool) {
	c, port, known := e.PublisherNear(addr, p, at)
	return c, port, known && !e.past
}
