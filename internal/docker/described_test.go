package docker

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/container"
	networks "github.com/moby/moby/api/types/network"
)

// A container that was created and never started has no address, and is known by the same names as later.
func TestDescribed_BeforeStart(t *testing.T) {
	resolver := netip.MustParseAddr("192.0.2.53")
	got := Described(container.InspectResponse{
		ID: "0123456789abcdef", Name: "/brave_curie", Path: "serve", Args: []string{"-v"},
		Config: &container.Config{Image: "orders:1", Labels: map[string]string{LabelWorkload: "orders"}},
		HostConfig: &container.HostConfig{
			NetworkMode: "shop", DNS: []netip.Addr{resolver}, DNSSearch: []string{"corp.test"},
			ExtraHosts: []string{"a:192.0.2.1"}, Resources: container.Resources{CgroupParent: "/ours"},
		},
		NetworkSettings: &container.NetworkSettings{Networks: map[string]*networks.EndpointSettings{
			"shop": {Aliases: []string{"orders.shop"}}, "empty": nil, "admin": {},
		}},
	})
	want := Container{
		ID: "0123456789abcdef", Name: "brave_curie", Image: "orders:1", Command: "serve -v",
		Labels: map[string]string{LabelWorkload: "orders"}, NetworkMode: "shop", Resolvers: []netip.Addr{resolver},
		Search: []string{"corp.test"}, Hosts: []string{"a:192.0.2.1"}, CgroupParent: "/ours",
		Networks: []Attachment{{Network: "admin"}, {Network: "shop", Aliases: []string{"orders.shop"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNetworks_SubnetsAndGateways(t *testing.T) {
	var n network
	n.describe(networks.IPAM{Config: []networks.IPAMConfig{
		{Subnet: netip.MustParsePrefix("172.18.0.1/16"), Gateway: netip.MustParseAddr("172.18.0.1")},
		{Subnet: netip.MustParsePrefix("fd00::/64")},
		{},
	}})
	w := &Watcher{networks: map[string]*network{"b": {id: "b", removed: true}, "a": &n}}
	n.id, n.name = "a", "shop"
	want := []Network{{
		ID: "a", Name: "shop", Gateways: []netip.Addr{netip.MustParseAddr("172.18.0.1")},
		Subnets: []netip.Prefix{netip.MustParsePrefix("172.18.0.0/16"), netip.MustParsePrefix("fd00::/64")},
	}}
	if diff := cmp.Diff(want, w.Networks(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
