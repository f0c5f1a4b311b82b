package recorder

import (
	"cmp"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// protocolsWithPorts are those for which an option names a port.
var protocolsWithPorts = []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP}

// onePort returns one port of some protocols.
func onePort(port uint16, protocols ...flow.Protocol) []enforce.PortRange {
	return portsOf(port, port, protocols...)
}

// portsOf returns a range of ports of some protocols.
func portsOf(first, last uint16, protocols ...flow.Protocol) []enforce.PortRange {
	var ports []enforce.PortRange
	for _, p := range protocols {
		ports = append(ports, enforce.PortRange{Protocol: p, First: first, Last: last})
	}
	return ports
}

// dialled returns the ports to which a client connects to reach the given ports of a Peer. at is the port in the Peer's
// address and pod the one at which the peer serves; 0 stands for any port, and for the same port.
func dialled(ports []enforce.PortRange, at, pod uint16) []enforce.PortRange {
	served := cmp.Or(pod, at)
	if served == 0 {
		return ports
	}
	var reachable []enforce.PortRange
	for _, protocol := range protocolsWithPorts {
		if enforce.Contains(ports, protocol, served) {
			reachable = append(reachable, portsOf(at, cmp.Or(at, 65535), protocol)...)
		}
	}
	return reachable
}
