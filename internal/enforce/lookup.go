package enforce

import (
	"net/netip"
	"strings"
)

// PortsOfAddress returns the ports that are allowed at an address.
func (t Table) PortsOfAddress(addr netip.Addr) []PortRange {
	for bits := addr.BitLen(); bits >= 0; bits-- {
		p, err := addr.Prefix(bits)
		if err != nil {
			return nil
		}
		if ports, known := t.Addresses[p]; known {
			return ports
		}
	}
	return nil
}

// PortsOfName returns the ports that are allowed at the addresses of a name.
func (t Table) PortsOfName(host string) []PortRange {
	var ports []PortRange
	for _, n := range t.Names {
		if n.standsFor(host) {
			ports = Join(ports, n.Ports)
		}
	}
	return ports
}

// standsFor reports whether a name is, or contains, a host.
func (n Name) standsFor(host string) bool {
	if n.Match == Exact {
		return n.Host == host
	}
	label, below := strings.CutSuffix(host, "."+n.Host)
	return (below || n.Host == "") && (n.Match == AnyLabels || !strings.Contains(label, "."))
}
