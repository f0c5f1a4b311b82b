package containers

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// A container answers the lookups of other containers, with the search list of a cluster. Every form of a name, from
// any client, gives the same rule, and the lookups count as cluster DNS.
func TestResolver_Container(t *testing.T) {
	image := require(t)
	lab := testnet.New(t)
	lab.ServeTCP("203.0.113.100:443", nil)
	lab.ServeTCP("203.0.113.101:5432", nil)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("203.0.113.0/25"), IPRange: netip.MustParsePrefix("203.0.113.0/28")},
	}}))
	if err := lab.JoinBridge("br-"+n.ID[:12], netip.MustParsePrefix("203.0.113.126/25")); err != nil {
		t.Fatal(err)
	}
	dns := run(t, image, "dns :53 orders-db.default.svc.cluster.local=203.0.113.101 api.pay.test=203.0.113.100 then wait",
		rec.As("dns"), in(n))
	at := address(t, dns, n.Name, false)
	asCluster := withHost(func(h *container.HostConfig) {
		h.DNS, h.DNSSearch, h.DNSOptions = []netip.Addr{at}, []string{"default.svc.cluster.local", "svc.cluster.local",
			"cluster.local"}, []string{"ndots:5"}
	})
	const dial = "dial orders-db:5432 orders-db.default:5432 orders-db.default.svc:5432 " +
		"orders-db.default.svc.cluster.local:5432 orders-db.default.svc.cluster.local.:5432 Orders-DB:5432 api.pay.test:443"
	// Docker's resolver sends the queries of both. The second container uses the network of another one.
	succeeded(t, run(t, image, dial, in(n), asCluster, rec.As("orders"), toEnd()))
	shop := run(t, image, "wait", in(n), asCluster, rec.As("shop"))
	ofShop := withHost(func(h *container.HostConfig) {
		h.NetworkMode = container.NetworkMode("container:" + shop.GetContainerID())
	})
	succeeded(t, run(t, image, dial, ofShop, rec.As("sidecar"), toEnd()))

	// In the default network a container queries the other one itself, by its resolv.conf.
	bridged := run(t, image, "dns :53 api.pay.test="+address(t, dns, n.Name, false).String()+" then wait",
		rec.As("bridged"))
	byName := withHost(func(h *container.HostConfig) { h.DNS = []netip.Addr{address(t, bridged, "bridge", false)} })
	succeeded(t, run(t, image, "resolve api.pay.test", byName, rec.As("default-network"), toEnd()))

	// The test process queries a container as it would call any other workload: its resolv.conf names another resolver.
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(at, 53).String())
	}}
	for _, host := range []string{"orders-db.default.svc.cluster.local.:5432", "api.pay.test.:443"} {
		conn, err := (&net.Dialer{Resolver: resolver}).DialContext(t.Context(), "tcp4", host)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
}
