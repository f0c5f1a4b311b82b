package ciliumpolicy

import (
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// match matches a flow against one pair of a rule.
func (v applicable) match(r Rule, peer, port int, f flow.Flow) policy.Match {
	a, b := r.pair(peer, port)
	return v.matchRefs(a, b, f)
}

func (v applicable) matchRefs(a peerRef, b portRef, f flow.Flow) policy.Match {
	if f.Lookup {
		return v.matchLookup(a, b, f)
	}
	return policy.Match{
		Peer: v.matchPeer(a, f), Port: v.matchPort(b, f), Request: v.matchRequests(b, f), Redirect: v.redirects(a, b, f),
	}
}

// redirects reports whether a pair stands for the cluster's resolver without naming it, as in package networkpolicy.
func (v applicable) redirects(peer peerRef, port portRef, f flow.Flow) bool {
	if f.Destination.Kind != flow.Resolver || !v.scope.IsResolverPort(f.Port) || peer.name != nil || port.icmp != nil ||
		port.port != nil && !matchProtocol(*port.port, f.Protocol) {
		return false
	}
	ports := v.scope.classifyPort(port, f.Port) // first, because most rules are for other ports
	if ports == policy.NoDNS || v.isForOtherResolver(peer, f.Destination) {
		return false
	}
	if peer.endpoint != nil && v.lostNamespace(peer, f.Destination) || v.isNoResolver(peer, f.Destination) {
		return false
	}
	return ports == policy.NamesDNS || mayBeResolver(peer)
}

func (v applicable) matchPeer(peer peerRef, f flow.Flow) policy.PeerMatch {
	peerEnd := v.direction.PeerEnd(f)
	isServer := v.direction == policy.Egress && policy.IsAPIServer(peerEnd)
	isHost := IsNode(peerEnd) || policy.UsesHostNetwork(peerEnd)
	arePods := peerEnd.Kind == flow.Workload
	switch {
	case peer == peerRef{}, peer.entity == cilium.All:
		return policy.PeerMatches
	case peerEnd.Kind == flow.Resolver:
		return v.matchResolver(peer, v.scope.ResolverOf(peerEnd))
	case peerEnd.Kind == flow.Anyone:
		return policy.OtherKind // callers other than the peer exist
	case peer.entity != "":
		return v.matchEntity(peer.entity, peerEnd, f, isServer)
	case peer.endpoint != nil && (isServer || isHost || !arePods) && selectsOthers(peer):
		return policy.PeerMatches
	case isServer, isHost, arePods != (peer.endpoint != nil):
		return policy.OtherKind
	case arePods:
		return v.matchPods(peer, peerEnd)
	case peer.name != nil:
		return v.matchName(*peer.name, peerEnd)
	}
	return v.matchCIDR(peer.cidr, peerEnd)
}

// selectsOthers reports whether a selector also selects endpoints that are not pods. A requirement on the namespace
// lifts the restriction to the policy's own namespace, and an endpoint without labels passes every exclusion.
func selectsOthers(peer peerRef) bool {
	selector := peer.selector()
	return len(selector.ofNamespace.MatchExpressions) > 0 && policy.Selects(&selector.ofNamespace, labels.Set{}) &&
		policy.Selects(&selector.ofPods, labels.Set{})
}

func (v applicable) matchEntity(entity string, peerEnd flow.Endpoint, f flow.Flow, isServer bool) policy.PeerMatch {
	isWorld := !isServer && (peerEnd.Kind == flow.External || peerEnd.Kind == flow.Address)
	var matches bool
	switch entity {
	case cilium.APIServer:
		matches = isServer
	case cilium.Host:
		matches = IsNode(peerEnd) || (policy.UsesHostNetwork(peerEnd) || isServer) && v.opens(cilium.RemoteNode, f)
	case cilium.RemoteNode:
		// the API server runs on some nodes
		matches = (policy.UsesHostNetwork(peerEnd) || isServer) && v.opens(cilium.Host, f)
	case cilium.Cluster, cilium.Mesh:
		matches = !isWorld
	case cilium.World:
		matches = isWorld
	}
	if matches {
		return policy.PeerMatches
	}
	return policy.OtherKind
}

// opens reports whether a rule allows this entity at the port of a flow. Pods on the host network may run on the node
// of their caller or on another, so a flow to them needs a rule for both entities.
func (v applicable) opens(entity string, f flow.Flow) bool {
	return slices.ContainsFunc(v.rules, func(r Rule) bool {
		return slices.Contains(r.Entities, entity) && (len(r.AllowedPorts()) == 0 ||
			slices.ContainsFunc(r.AllowedPorts(), func(port portRef) bool {
				return v.matchPort(port, f) == policy.PortMatches && v.matchRequests(port, f) == policy.RequestMatches
			}))
	})
}

func (v applicable) matchPods(peer peerRef, peerEnd flow.Endpoint) policy.PeerMatch {
	w, _ := v.scope.WorkloadOf(peerEnd)
	return v.matchLabels(
		peer, w.AsPeer(v.direction).AllLabels(), policy.NamespaceOf(w, v.direction, v.subject, v.namespace),
	)
}

// matchLabels matches a peer with a selector against the labels of pods and of their namespace.
func (v applicable) matchLabels(peer peerRef, pods labels.Set, namespace string) policy.PeerMatch {
	selector := peer.selector()
	all := endpointLabels{pods, namespace, v.scope.Namespaces[namespace]}
	inNamespace := policy.Selects(&selector.ofNamespace, all)
	if policy.IsEmpty(&selector.ofNamespace) {
		inNamespace = namespace == v.namespace
	}
	switch {
	case !policy.Selects(&selector.ofPods, all):
		return policy.OtherPeer
	case !inNamespace:
		return policy.OtherNamespace
	}
	return policy.PeerMatches
}

// matchName matches a name, and requires that Cilium may read its lookup. An address without a name matches no name,
// because it may belong to any host.
func (v applicable) matchName(name cilium.FQDN, peerEnd flow.Endpoint) policy.PeerMatch {
	switch {
	case peerEnd.Kind != flow.External || v.direction == policy.Ingress:
		return policy.OtherKind
	case !name.Matches(peerEnd.Name):
		return policy.OtherPeer
	case !v.readsLookup(peerEnd.Name):
		return policy.LookupNotRead
	}
	return policy.PeerMatches
}

func (v applicable) readsLookup(host string) bool {
	if v.read != nil {
		return v.read.matches(host)
	}
	return slices.ContainsFunc(v.lookups, func(n cilium.FQDN) bool { return n.Matches(host) })
}

// matchCIDR matches addresses outside of the cluster. In a policy with names, a single address does not match a host
// that has a name, as in package networkpolicy.
func (v applicable) matchCIDR(r *cilium.CIDRRule, peerEnd flow.Endpoint) policy.PeerMatch {
	prefix, err := netip.ParsePrefix(r.CIDR)
	addr := policy.EndpointAddress(peerEnd)
	external := v.direction == policy.Egress && peerEnd.Kind == flow.External
	switch {
	case err != nil:
		return policy.OtherPeer
	case !addr.IsValid() && external && prefix.Bits() == 0:
	case !prefix.Contains(addr):
		return policy.OtherPeer
	case policy.ExceptionFor(r.Except, addr) != "":
		return policy.Excepted
	case external && v.named && prefix.IsSingleIP():
		return policy.NameNotListed
	}
	return policy.PeerMatches
}

func (v applicable) matchPort(ref portRef, f flow.Flow) policy.PortMatch {
	if v.direction == policy.Ingress {
		return v.matchOnePort(ref, f)
	}
	return policy.MatchAnyPort(f, func(f flow.Flow) policy.PortMatch { return v.matchOnePort(ref, f) })
}

func (v applicable) matchOnePort(ref portRef, f flow.Flow) policy.PortMatch {
	switch {
	case ref.icmp != nil:
		return matchICMP(*ref.icmp, f)
	case ref.port == nil:
		return policy.PortMatches // any protocol
	case !f.Protocol.HasPorts() || f.Port == 0:
		return policy.OtherPort
	}
	first, isNumber := ref.port.Number()
	if !isNumber {
		return v.scope.MatchPortName(strings.ToLower(ref.port.Port), matchProtocol(*ref.port, f.Protocol), f)
	}
	last := max(first, int(ref.port.EndPort))
	inRange := first == 0 || first <= int(f.Port) && int(f.Port) <= last
	switch {
	case !inRange:
		return policy.OtherPort
	case !matchProtocol(*ref.port, f.Protocol):
		return policy.OtherProtocol
	}
	return policy.PortMatches
}

func matchProtocol(p cilium.Port, protocol flow.Protocol) bool {
	return p.Protocol == protocol.String() || protocol.HasPorts() && (p.Protocol == "" || p.Protocol == cilium.Any)
}

func matchICMP(field cilium.ICMPField, f flow.Flow) policy.PortMatch {
	family := flow.ICMP
	if field.Family == cilium.IPv6 {
		family = flow.ICMPv6
	}
	switch {
	case f.Protocol != family:
		return policy.OtherPort
	case field.Number() != policy.ICMPTypeOf(f):
		return policy.OtherProtocol
	}
	return policy.PortMatches
}
