package containers

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/netzerotest"
)

// A container is one workload, under every name and address.
func TestNetworks_OneWorkload(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	front, back := newNetwork(t), newNetwork(t)
	name := fmt.Sprintf("netzero-test-db-%s", front.ID[:8])
	db := run(t, image, "listen :5432 :5433 :5434 :5435 then wait", rec, in(front, "db", "database"), in(back, "store"),
		testcontainers.WithName(name))
	command := fmt.Sprintf("dial db:5432 database:5432 %s:5433 %s:5434", name, address(t, db, front.Name, false))
	succeeded(t, run(t, image, command, rec.As("front"), in(front), toEnd()))
	command = fmt.Sprintf("dial store:5432 %s:5435", address(t, db, back.Name, false))
	succeeded(t, run(t, image, command, rec.As("back"), in(back), toEnd()))
}

// The address family that a program prefers has no effect on the policy.
func TestNetworks_DualStack(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t, network.WithEnableIPv6(), network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("198.51.100.0/25")}, {Subnet: netip.MustParsePrefix("2001:db8:5::/64")},
	}}))
	db := run(t, image, "listen :5432 then wait", rec, in(n, "db"))
	command := fmt.Sprintf("dial [%s]:5432 then dial %s:5432 then dial db:5432", address(t, db, n.Name, true),
		address(t, db, n.Name, false))
	succeeded(t, run(t, image, command, rec.As("client"), in(n), toEnd()))
}

// From inside, a published port of this machine is the container behind it.
func TestPublishedPorts_FromContainer(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	db := run(t, image, "listen :5432 then wait", rec.As("db"), testcontainers.WithExposedPorts("5432/tcp"))
	port := published(t, db, "5432/tcp")
	gateway := gatewayOf(t, n)
	toHost := withHost(func(h *container.HostConfig) { h.ExtraHosts = []string{"host.docker.internal:host-gateway"} })
	command := fmt.Sprintf("dial %s:%d host.docker.internal:%d", gateway, port, port)
	succeeded(t, run(t, image, command, rec.As("client"), in(n), toHost, toEnd()))
}

func TestNetworks_Host(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	onHost := withHost(func(h *container.HostConfig) { h.NetworkMode = "host" })
	const port = 17070 // of this machine, and so in the golden
	run(t, image, fmt.Sprintf("listen 127.0.0.1:%d then dial 127.0.0.1:%d then wait", port, port), rec.As("db"), onHost)
	await(t, fmt.Sprintf("127.0.0.1:%d", port))
	succeeded(t, run(t, image, fmt.Sprintf("dial localhost:%d", port), rec.As("client"), onHost, toEnd()))
}

// Containers that share a network are one pod.
func TestNetworks_Shared(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"))
	orders := run(t, image, "listen :8080 then wait", rec.As("orders"), in(n, "orders"))
	sidecar := withHost(func(h *container.HostConfig) {
		h.NetworkMode = container.NetworkMode("container:" + orders.GetContainerID())
	})
	succeeded(t, run(t, image, "dial localhost:8080 db:5432", rec.As("sidecar"), sidecar, toEnd()))
	succeeded(t, run(t, image, "dial orders:8080", rec.As("client"), in(n), toEnd()))
}

// A container reaches servers of the test process by the gateway of its network.
func TestNetworks_GatewayIsTestProcess(t *testing.T) {
	image := require(t)
	l := listen(t, "0.0.0.0:0")
	rec := record(t, netzerotest.Driver(), netzerotest.Peer(fmt.Sprintf("localhost:%d", l), "payments:8443"))
	n := newNetwork(t)
	succeeded(t, run(t, image, fmt.Sprintf("dial %s:%d", gatewayOf(t, n), l), rec.As("client"), in(n), toEnd()))
}

// Docker gives a container the address that another one has just left.
func TestAddresses_Reused(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t)
	var last netip.Addr
	for _, name := range []string{"first", "second", "third"} {
		c := run(t, image, "listen :5432 then wait", rec.As(name), in(n, name))
		at := address(t, c, n.Name, false)
		await(t, netip.AddrPortFrom(at, 5432).String())
		if err := testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)); err != nil {
			t.Fatal(err)
		}
		if last.IsValid() && at != last {
			t.Errorf("%s got %s, not %s: nothing is tested", name, at, last)
		}
		last = at
	}
}

func gatewayOf(t *testing.T, n *testcontainers.DockerNetwork) string {
	t.Helper()
	return docker(t, "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", n.Name)
}

// listen makes the test process a server that accepts and closes, and returns its port.
func listen(t *testing.T, address string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// A short-lived client uses the cluster's resolver, whatever its own resolver is: the default network does not have
// Docker's resolver in between.
func TestResolver_DefaultNetwork(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	dns := run(t, image, "listen udp::53 :53 :5432 then wait", rec.As("dns"))
	at := address(t, dns, "bridge", false)
	resolver := withHost(func(h *container.HostConfig) { h.DNS = []netip.Addr{at} })
	command := fmt.Sprintf("send question udp:%s:53 then dial %s:53 then dial %s:5432", at, at, at)
	succeeded(t, run(t, image, command, rec.As("client"), resolver, toEnd()))
}
