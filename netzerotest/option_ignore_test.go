package netzerotest

import (
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A host or an address without a port ignores all flows to it.
func TestIgnore_FlowsWithoutPorts(t *testing.T) {
	named := func(name, addr string, f Flow) Flow {
		f.Destination = flow.Endpoint{Kind: flow.External, Name: name}
		if addr != "" {
			f.Destination.Addr = netip.MustParseAddr(addr)
		}
		return f
	}
	ping, tunnel, lookup := Flow{Protocol: flow.ICMP, ICMPType: 8}, Flow{Protocol: 47}, Flow{Lookup: true}
	for address, rows := range map[string][]struct {
		flow Flow
		want bool
	}{
		"203.0.113.9":       {{named("vpn.example", "203.0.113.9", ping), true}, {named("vpn.example", "203.0.113.10", ping), false}},
		"203.0.113.0/24":    {{named("vpn.example", "203.0.113.9", tunnel), true}, {named("vpn.example", "198.51.100.9", tunnel), false}},
		"vpn.example":       {{named("vpn.example", "203.0.113.9", tunnel), true}, {named("vpn.example", "", lookup), true}, {named("x.example", "", lookup), false}},
		"*.vendor.example":  {{named("telemetry.vendor.example", "", lookup), true}, {named("vendor.example", "", lookup), false}},
		"vpn.example:443":   {{named("vpn.example", "203.0.113.9", ping), false}, {named("vpn.example", "", lookup), false}},
		"203.0.113.9:443":   {{named("vpn.example", "203.0.113.9", ping), false}},
		"telemetry.example": {{named("telemetry.example", "", lookup), true}},
	} {
		var c config
		if err := Ignore(address).apply(&c); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if got := c.ignored().Has(row.flow); got != row.want {
				t.Errorf("Ignore(%q) leaves out %s: %v", address, row.flow.Target(), got)
			}
		}
	}
}
