package containers

import (
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestLocate(t *testing.T) {
	inner, loopback := netip.MustParseAddr("172.17.0.2"), netip.MustParseAddr("127.0.0.1")
	engine := fakeEngine{
		containers: []docker.Container{{ID: "db"}, {ID: "web"}},
		addresses:  map[netip.Addr]string{inner: "db"},
		published:  map[netip.AddrPort]string{netip.AddrPortFrom(loopback, 49153): "db"},
	}
	for _, row := range []struct {
		reason    string
		attempt   Attempt
		past      bool
		container string
		port      uint16
		published bool
	}{
		{"an address of a container", Attempt{Addr: inner, Port: 5432}, false, "db", 5432, false},
		{
			"the same, mapped to IPv6",
			Attempt{Addr: netip.AddrFrom16(inner.As16()), Port: 5432}, false, "db", 5432, false,
		},
		{"an address of a container that has ended", Attempt{Addr: inner, Port: 5432}, true, "db", 5432, false},
		{"another address", Attempt{Addr: netip.MustParseAddr("203.0.113.9"), Port: 5432}, false, "", 5432, false},
		{"a published port", Attempt{Addr: loopback, Port: 49153, Local: true, HasServer: true}, false, "db", 80, true},
		{"a port that was published", Attempt{Addr: loopback, Port: 49153, Local: true}, true, "db", 80, true},
		{
			"a port that was published, and has another server now",
			Attempt{Addr: loopback, Port: 49153, Local: true, HasServer: true}, true, "", 49153, false,
		},
		{
			"a server in a container of the machine's network",
			Attempt{Addr: loopback, Port: 8080, Local: true, HasServer: true, Servers: []string{"web", "unknown"}},
			false, "web", 8080, false,
		},
		{"another server", Attempt{Addr: loopback, Port: 8080, Local: true, HasServer: true}, false, "", 8080, false},
		{"an address of a container that is not local", Attempt{Addr: loopback, Port: 49153}, false, "", 49153, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			engine.past = row.past
			got := Locate(engine, row.attempt)
			id := ""
			if got.Container != nil {
				id = got.Container.ID
			}
			if id != row.container || got.Port != row.port || got.Published != row.published {
				t.Errorf("container %q, port %d, published %t", id, got.Port, got.Published)
			}
		})
	}
}

func TestIsEngine(t *testing.T) {
	loopback, other := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.7")
	for _, row := range []struct {
		network, address string
		addr             netip.Addr
		port             uint16
		name             string
		want             bool
	}{
		{"tcp", "192.0.2.7:2375", other, 2375, "", true},
		{"tcp", "192.0.2.7:2375", other, 2376, "", false},
		{"tcp", "192.0.2.7:2375", loopback, 2375, "", false},
		{"tcp", "localhost:2375", loopback, 2375, "", true},
		{"tcp", "docker.example:2375", other, 2375, "Docker.example", true},
		{"tcp", "docker.example:2375", other, 2375, "other.example", false},
		{"unix", "/run/docker.sock", loopback, 0, "", false},
	} {
		engine := fakeEngine{endpoint: docker.Endpoint{Network: row.network, Address: row.address}}
		if got := IsEngine(engine, netip.AddrPortFrom(row.addr, row.port), row.name); got != row.want {
			t.Errorf("%s %s, flow to %s:%d (%q): %t", row.network, row.address, row.addr, row.port, row.name, got)
		}
	}
}

func TestIsResolver(t *testing.T) {
	embedded, own := netip.MustParseAddr("127.0.0.11"), netip.MustParseAddr("192.0.2.53")
	for _, row := range []struct {
		reason    string
		resolvers []netip.Addr
		addr      netip.Addr
		port      uint16
		want      bool
	}{
		{"its own", []netip.Addr{own}, own, 53, true},
		{"at another port", []netip.Addr{own}, own, 5353, false},
		{"another one", []netip.Addr{own}, netip.MustParseAddr("192.0.2.54"), 53, false},
		{"the engine's, although it has its own", []netip.Addr{own}, embedded, 53, false},
	} {
		if got := IsResolver(docker.Container{Resolvers: row.resolvers}, row.addr, row.port); got != row.want {
			t.Errorf("%s: %t", row.reason, got)
		}
	}
}

func TestIsEphemeral(t *testing.T) {
	const from, to = 32768, 60999
	db := docker.Container{ID: "db", LocalPorts: "32768 60999"}
	engine := fakeEngine{
		containers: []docker.Container{
			db, {ID: "sidecar", Exposed: []docker.Exposed{{Port: 50000, Protocol: flow.TCP}}},
			{ID: "node", NetworkMode: "host"},
		},
		owners: map[string]string{"sidecar": "db", "node": "host"},
	}
	machine := func(port uint16) bool { return port == 40000 }
	for _, row := range []struct {
		reason, container string
		port              uint16
		protocol          flow.Protocol
		want              bool
	}{
		{"in the range of its network", "db", from, flow.TCP, true},
		{"below that range", "db", from - 1, flow.TCP, false},
		{"a port that a container of its network exposes", "db", 50000, flow.TCP, false},
		{"in the network of another container", "sidecar", to, flow.UDP, true},
		{"without ports", "db", from, flow.ICMP, false},
		{"in the range of the machine, on its network", "node", 40000, flow.TCP, true},
		{"out of the range of the machine, on its network", "node", from, flow.TCP, false},
	} {
		c, _ := engine.Container(row.container)
		f := flow.Flow{Protocol: row.protocol, Port: row.port}
		if got := IsEphemeral(engine, c, f, machine); got != row.want {
			t.Errorf("%s: %t, want %t", row.reason, got, row.want)
		}
	}
}
