package endpoint

import (
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A host or an address without a port ignores all flows to it.
func TestIgnored_FlowsWithoutPorts(t *testing.T) {
	named := func(name, addr string, f flow.Flow) flow.Flow {
		f.Destination = flow.Endpoint{Kind: flow.External, Name: name}
		if addr != "" {
			f.Destination.Addr = netip.MustParseAddr(addr)
		}
		return f
	}
	ping, tunnel, lookup := flow.Flow{Protocol: flow.ICMP, ICMPType: 8}, flow.Flow{Protocol: 47}, flow.Flow{Lookup: true}
	for _, row := range []struct {
		ignore string
		flow   flow.Flow
		want   bool
	}{
		{"203.0.113.9", named("vpn.example", "203.0.113.9", ping), true},
		{"203.0.113.9", named("vpn.example", "203.0.113.10", ping), false},
		{"203.0.113.0/24", named("vpn.example", "203.0.113.9", tunnel), true},
		{"203.0.113.0/24", named("vpn.example", "198.51.100.9", tunnel), false},
		{"vpn.example", named("vpn.example", "203.0.113.9", tunnel), true},
		{"vpn.example", named("vpn.example", "", lookup), true},
		{"vpn.example", named("x.example", "", lookup), false},
		{"*.vendor.example", named("telemetry.vendor.example", "", lookup), true},
		{"*.vendor.example", named("vendor.example", "", lookup), false},
		{"vpn.example:443", named("vpn.example", "203.0.113.9", ping), false},
		{"vpn.example:443", named("vpn.example", "", lookup), false},
		{"203.0.113.9:443", named("vpn.example", "203.0.113.9", ping), false},
		{"telemetry.example", named("telemetry.example", "", lookup), true},
	} {
		ignore, err := ParseIgnore(row.ignore)
		if err != nil {
			t.Fatal(err)
		}
		ignored := Ignored{Destinations: []Ignore{ignore}}
		if got := ignored.Has(row.flow); got != row.want {
			t.Errorf("Ignore(%q) leaves out %s: %v", row.ignore, row.flow.Target(), got)
		}
	}
}
