package policytest

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Neighbours returns the flows that differ from a flow in one property, by the name of that property. They vary the
// destination, the port and the protocol. A flow of a protocol without ports has no neighbours.
func Neighbours(f flow.Flow) map[string]flow.Flow {
	if !f.Protocol.HasPorts() {
		return nil
	}
	all := make(map[string]flow.Flow)
	vary := func(difference string, change func(*flow.Flow)) {
		n := f
		change(&n)
		all[difference] = n
	}
	vary("the next port", func(n *flow.Flow) { n.Port++ })
	for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
		vary("another protocol: "+p.String(), func(n *flow.Flow) { n.Protocol = p })
	}
	switch f.Destination.Kind {
	case flow.Workload:
		vary("another namespace", func(n *flow.Flow) { n.Destination.Namespace = "elsewhere" })
		vary("another name", func(n *flow.Flow) { n.Destination.Name += "-2" })
		vary("an address", func(n *flow.Flow) { n.Destination = At("203.0.113.77") })
	case flow.External:
		vary("another name", func(n *flow.Flow) { n.Destination.Name = "x" + n.Destination.Name })
		switch addr := f.Destination.Addr; {
		case !flow.Public(addr):
			vary("the next address", func(n *flow.Flow) { n.Destination.Addr = addr.Next() })
		case addr.IsValid(): // a rule for a private address also allows flows without a name
			vary("no name", func(n *flow.Flow) { n.Destination = flow.Endpoint{Kind: flow.Address, Addr: addr} })
		}
	case flow.Address:
		vary("the next address", func(n *flow.Flow) { n.Destination.Addr = n.Destination.Addr.Next() })
	}
	return all
}

// WithNeighbours returns flows, their neighbours at both ends, and failed lookups of their external names.
func WithNeighbours(flows []flow.Flow) []flow.Flow {
	all := slices.Clone(flows)
	for _, f := range flows {
		for _, n := range Neighbours(f) {
			all = append(all, n)
		}
		for _, n := range Neighbours(Reversed(f)) {
			all = append(all, Reversed(n))
		}
		if f.Destination.Kind == flow.External && !f.Lookup {
			f.Destination.Addr, f.Lookup, f.Protocol, f.Port = netip.Addr{}, true, 0, 0
			all = append(all, f)
		}
	}
	return all
}
