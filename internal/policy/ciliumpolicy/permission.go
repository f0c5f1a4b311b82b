package ciliumpolicy

import (
	"cmp"
	"net/netip"

	"github.com/netzero-dev/netzero/internal/policy"
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

// peerKey identifies the rule for the peer end of a flow.
type peerKey struct {
	rank      rank
	namespace string     // of pods, if known, or AnyNamespace; of the resolver, unless it is the default one
	labels    string     // of pods or the resolver, in the form of labels.Set.String
	host      string     // a name, or a pattern of names
	addr      netip.Addr // an address, or that of a resolver outside of pods
	bits      int        // prefix length of the resolver's addresses
}

func (k peerKey) compare(l peerKey) int {
	return cmp.Or(
		cmp.Compare(k.rank, l.rank),
		cmp.Compare(k.namespace, l.namespace),
		cmp.Compare(k.labels, l.labels),
		cmp.Compare(k.host, l.host),
		k.addr.Compare(l.addr),
		cmp.Compare(k.bits, l.bits),
	)
}

// permission is one port or one ICMP type of one peer, for one request or for all.
type permission struct {
	peer     peerKey
	port     uint16 // or the ICMP type
	end      uint16 // the last port of a range; 0 for a single port
	protocol flow.Protocol
	request  request
}

func (o permission) isICMP() bool { return o.protocol.IsICMP() }

// sharesRule reports whether two permissions belong in one rule.
func (o permission) sharesRule(p permission) bool {
	return o.peer == p.peer && o.isICMP() == p.isICMP()
}

func (o permission) compare(p permission) int {
	icmp := func(o permission) int {
		if o.isICMP() {
			return 1
		}
		return 0
	}
	return cmp.Or(
		o.peer.compare(p.peer), cmp.Compare(icmp(o), icmp(p)), cmp.Compare(o.port, p.port), cmp.Compare(o.end, p.end),
		cmp.Compare(o.protocol, p.protocol), o.request.compare(p.request),
	)
}

// sharesPort reports whether two permissions differ at most in their requests.
func (o permission) sharesPort(p permission) bool {
	o.request = p.request
	return o == p
}

// permissions returns the permissions that a subject's flows need in a direction, sorted, without duplicates.
func (c Dialect) permissions(subject policy.Workload, d policy.Direction, flows []flow.Flow) []permission {
	var permissions []permission
	for _, f := range c.needed(d, c.AtFirstPorts(flows)) {
		if c.inexpressible(d, f) == "" {
			permissions = append(permissions, c.permissionsOf(d, f)...)
		}
	}
	return grouped(permissions)
}

// permissionsOf returns the permissions that one flow needs. They have the same peer.
func (c Dialect) permissionsOf(d policy.Direction, f flow.Flow) []permission {
	var all []permission
	for _, port := range policy.WrittenPorts(f) {
		f.Port = port
		o := c.permissionOf(d, f)
		for _, o.request = range c.requestsOf(f) {
			all = append(all, o)
		}
	}
	return all
}

// permissionOf returns a permission for the port of a flow, without its requests.
func (c Dialect) permissionOf(d policy.Direction, f flow.Flow) permission {
	first, last := c.PortsOfFlow(f)
	if f.Protocol.IsICMP() {
		first = uint16(policy.ICMPTypeOf(f))
	}
	return permission{peer: c.peerOf(d, f), port: first, end: last, protocol: f.Protocol}
}

func (c Dialect) peerOf(d policy.Direction, f flow.Flow) peerKey {
	e := d.PeerEnd(f)
	switch {
	case d == policy.Egress && policy.IsAPIServer(e):
		return peerKey{rank: rankAPIServer}
	case policy.UsesHostNetwork(e):
		return peerKey{rank: rankNodes}
	case IsNode(e):
		return peerKey{rank: rankHost}
	case e.Kind == flow.Workload:
		w, _ := c.WorkloadOf(e)
		k := peerKey{rank: rankPods, namespace: w.Namespace, labels: w.AsPeer(d).SelectorLabels().String()}
		if subject, _ := c.WorkloadOf(d.SubjectEnd(f)); policy.CallsFromAnyNamespace(d, w, subject) {
			k.namespace = policy.AnyNamespace
		}
		return k
	case e.Kind == flow.Resolver:
		return peerOf(c.ResolverOf(e))
	case e.Kind == flow.External && d == policy.Egress:
		return peerKey{rank: rankName, host: c.fqdn(e.Name).String()}
	case e.Kind == flow.Anyone:
		return peerKey{rank: rankAnyone}
	}
	return peerKey{rank: rankAddress, addr: policy.EndpointAddress(e)}
}
