package containers

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// Hosts outside containers, on the bridge of a Docker network: by names that the container looked up through Docker's
// resolver, and by an address.
func TestExternalHosts_NamesAndAddresses(t *testing.T) {
	image := require(t)
	lab := testnet.New(t)
	lab.ServeDNS("203.0.113.53:53", testnet.MustZone("api.pay.test A 203.0.113.100", "refunds.pay.test A 203.0.113.100"))
	lab.ServeTCP("203.0.113.100:443", nil)
	lab.ServeUDP("203.0.113.101:8125", nil)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("203.0.113.0/25"), IPRange: netip.MustParsePrefix("203.0.113.0/28")},
	}}))
	if err := lab.JoinBridge("br-"+n.ID[:12], netip.MustParsePrefix("203.0.113.126/25")); err != nil {
		t.Fatal(err)
	}
	resolver := withHost(func(h *container.HostConfig) { h.DNS = []netip.Addr{netip.MustParseAddr("203.0.113.53")} })
	succeeded(t, run(t, image, "dial api.pay.test:443 then dial refunds.pay.test:443 udp:203.0.113.101:8125",
		rec.As("checkout"), in(n), resolver, toEnd()))
}
