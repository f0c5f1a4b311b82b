package policy

import (
	"net/netip"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func workload(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }

func at(addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)}
}

func tcp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.TCP, port) }

func udp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.UDP, port) }

func ping(to flow.Endpoint) flow.Flow { return toPort(to, flow.ICMP, 0) }

func toPort(to flow.Endpoint, protocol flow.Protocol, port uint16) flow.Flow {
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
		Destination: to, Protocol: protocol, Port: port, Count: 1,
	}
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
