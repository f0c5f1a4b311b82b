// Package enforcetest decides as the kernel does what a table allows. It is for tests only, and shares no code with the
// compilation of tables.
package enforcetest

import (
	"net/netip"
	"strings"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Address reports whether a table allows a port of an address, whatever its name.
func Address(t enforce.Table, addr netip.Addr, protocol flow.Protocol, port uint16) bool {
	longest := -1
	var ports []enforce.PortRange
	for prefix, of := range t.Addresses {
		if prefix.Contains(addr) && prefix.Bits() > longest {
			longest, ports = prefix.Bits(), of
		}
	}
	return Holds(ports, protocol, port)
}

// Named reports whether a table allows a port of the addresses that a name has, by this name.
func Named(t enforce.Table, host string, protocol flow.Protocol, port uint16) bool {
	n, known := find(t, host)
	return known && Holds(n.Ports, protocol, port)
}

// Lookup reports whether a table allows the lookup of a name.
func Lookup(t enforce.Table, host string) bool {
	_, known := find(t, host)
	return known
}

// find returns the most specific entry for a name.
func find(t enforce.Table, host string) (enforce.Name, bool) {
	var best enforce.Name
	known := false
	for _, n := range t.Names {
		if !matches(n, host) {
			continue
		}
		if !known || n.Match == enforce.Exact || best.Match != enforce.Exact && (len(n.Host) > len(best.Host) ||
			len(n.Host) == len(best.Host) && n.Match < best.Match) {
			best, known = n, true
		}
	}
	return best, known
}

func matches(n enforce.Name, host string) bool {
	if n.Match == enforce.Exact {
		return n.Host == host
	}
	if n.Host != "" {
		var below bool
		if host, below = strings.CutSuffix(host, "."+n.Host); !below {
			return false
		}
	}
	return n.Match == enforce.AnyLabels || !strings.Contains(host, ".")
}

// Holds reports whether one of the ranges holds a port of a protocol.
func Holds(ranges []enforce.PortRange, protocol flow.Protocol, port uint16) bool {
	for _, r := range ranges {
		if r.Protocol == enforce.AnyProtocol || r.Protocol == protocol && r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}
