package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// rank orders the kinds of peer in a policy.
type rank uint8

const (
	rankPods rank = iota + 1
	rankResolver
	rankAPIServer
	rankHost
	rankNodes
	rankName
	rankAddress
	rankAnyone
)

// ciliumPeer is what a rule depends on of the far end of its flows.
type ciliumPeer struct {
	rank      rank
	namespace string     // of pods, where it is known, or anyNamespace; of the resolver's, where they are not the usual ones
	labels    string     // of pods, as labels.Set writes them; the same
	host      string     // of a name, or a pattern of names
	addr      netip.Addr // of an address, and of a resolver that is no pods
	bits      int        // of a resolver's addresses
}

func (k ciliumPeer) compare(l ciliumPeer) int {
	return cmp.Or(
		cmp.Compare(k.rank, l.rank),
		cmp.Compare(k.namespace, l.namespace),
		cmp.Compare(k.labels, l.labels),
		cmp.Compare(k.host, l.host),
		k.addr.Compare(l.addr),
		cmp.Compare(k.bits, l.bits),
	)
}

// ciliumOpening is one port of one peer, or one type of ICMP.
type ciliumOpening struct {
	peer     ciliumPeer
	port     uint16 // or the ICMP type
	end      uint16 // the last port of a range; 0 for a single port
	protocol flow.Protocol
}

func (o ciliumOpening) isICMP() bool { return o.protocol.IsICMP() }

// sharesRule reports whether two openings stand in one rule.
func (o ciliumOpening) sharesRule(p ciliumOpening) bool {
	return o.peer == p.peer && o.isICMP() == p.isICMP()
}

func (o ciliumOpening) compare(p ciliumOpening) int {
	icmp := func(o ciliumOpening) int {
		if o.isICMP() {
			return 1
		}
		return 0
	}
	return cmp.Or(o.peer.compare(p.peer), cmp.Compare(icmp(o), icmp(p)), cmp.Compare(o.port, p.port), cmp.Compare(o.end, p.end), cmp.Compare(o.protocol, p.protocol))
}

// openings returns what a subject's flows in a direction need, sorted and each once.
func (c Cilium) openings(subject Workload, d direction, flows []flow.Flow) []ciliumOpening {
	var openings []ciliumOpening
	for _, f := range needed(d, c.inRanges(c.of(subject, d, flows))) {
		if c.inexpressible(d, f) == "" {
			openings = append(openings, c.openingsOf(d, f)...)
		}
	}
	slices.SortFunc(openings, ciliumOpening.compare)
	return slices.Compact(openings)
}

// openingsOf returns what one flow needs: openings of one peer.
func (c Cilium) openingsOf(d direction, f flow.Flow) []ciliumOpening {
	var all []ciliumOpening
	for _, port := range writtenPorts(f) {
		f.Port = port
		all = append(all, c.openingOf(d, f))
	}
	return all
}

func (c Cilium) openingOf(d direction, f flow.Flow) ciliumOpening {
	first, last := c.portsOfFlow(f)
	if f.Protocol.IsICMP() {
		first = uint16(icmpType(f))
	}
	return ciliumOpening{peer: c.peerOf(d, f), port: first, end: last, protocol: f.Protocol}
}

func (c Cilium) peerOf(d direction, f flow.Flow) ciliumPeer {
	e := d.far(f)
	switch {
	case d == egress && isAPIServer(e):
		return ciliumPeer{rank: rankAPIServer}
	case usesHostNetwork(e):
		return ciliumPeer{rank: rankNodes}
	case isNode(e):
		return ciliumPeer{rank: rankHost}
	case e.Kind == flow.Workload:
		w, _ := c.workload(e)
		k := ciliumPeer{rank: rankPods, namespace: w.Namespace, labels: w.at(d).selecting().String()}
		if subject, _ := c.workload(d.near(f)); isFromAnywhere(d, w, subject) {
			k.namespace = anyNamespace
		}
		return k
	case e.Kind == flow.Resolver:
		return c.resolverOf(e).ciliumPeer()
	case e.Kind == flow.External && d == egress:
		return ciliumPeer{rank: rankName, host: c.fqdn(e.Name).String()}
	case e.Kind == flow.Anyone:
		return ciliumPeer{rank: rankAnyone}
	}
	return ciliumPeer{rank: rankAddress, addr: address(e)}
}
