package recorder

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const maxPort = 65535

// everything are all ports and types of the protocols that are recorded.
var everything = portsOf(0, maxPort, flow.ICMP, flow.TCP, flow.UDP, flow.ICMPv6, flow.SCTP, flow.UDPLite)

// portsOf returns a range of ports of some protocols.
func portsOf(first, last uint16, protocols ...flow.Protocol) []enforce.PortRange {
	var ports []enforce.PortRange
	for _, p := range protocols {
		ports = append(ports, enforce.PortRange{Protocol: p, First: first, Last: last})
	}
	return ports
}

// unite returns the ports of all lists, sorted, without overlaps.
func unite(lists ...[]enforce.PortRange) []enforce.PortRange {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b enforce.PortRange) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.First, b.First))
	})
	var united []enforce.PortRange
	for _, p := range all {
		last := len(united) - 1
		if last >= 0 && united[last].Protocol == p.Protocol && int(p.First) <= int(united[last].Last)+1 {
			united[last].Last = max(united[last].Last, p.Last)
			continue
		}
		united = append(united, p)
	}
	return united
}

// dialled returns the ports to which a client connects to reach the given ports of a Peer. at is the port in the Peer's
// address and pod the one at which the peer serves; 0 stands for any port, and for the same port.
func dialled(ports []enforce.PortRange, at, pod uint16) []enforce.PortRange {
	if at == 0 && pod == 0 {
		return ports
	}
	var reachable []enforce.PortRange
	for _, p := range ports {
		served := cmp.Or(pod, at)
		if !p.Protocol.HasPorts() || served < p.First || served > p.Last {
			continue
		}
		reachable = append(reachable, enforce.PortRange{Protocol: p.Protocol, First: at, Last: cmp.Or(at, maxPort)})
	}
	return unite(reachable)
}

// prefixes are ports by ranges of addresses.
type prefixes map[netip.Prefix][]enforce.PortRange

// at returns the ports of the longest prefix that contains a range.
func (p prefixes) at(within netip.Prefix) []enforce.PortRange {
	for bits := within.Bits(); bits >= 0; bits-- {
		if ports, known := p[netip.PrefixFrom(within.Addr(), bits).Masked()]; known {
			return ports
		}
	}
	return nil
}

// allAt returns the ports of all prefixes that contain a range.
func (p prefixes) allAt(within netip.Prefix) []enforce.PortRange {
	var all [][]enforce.PortRange
	for bits := within.Bits(); bits >= 0; bits-- {
		if ports, known := p[netip.PrefixFrom(within.Addr(), bits).Masked()]; known {
			all = append(all, ports)
		}
	}
	return unite(all...)
}

// with returns a table in which each address has its ports of this table and of all added prefixes that contain it. In
// both this table and the result the longest prefix decides alone.
func (p prefixes) with(added prefixes) prefixes {
	united := make(prefixes, len(p)+len(added))
	for _, from := range []prefixes{p, added} {
		for prefix := range from {
			if _, known := united[prefix]; !known {
				united[prefix] = unite(p.at(prefix), added.allAt(prefix))
			}
		}
	}
	return united
}
