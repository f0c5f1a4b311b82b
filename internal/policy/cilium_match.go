package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// match holds a flow against one pair of a rule.
func (v ciliumView) match(r ciliumRule, peer, port int, f flow.Flow) fit {
	a, b := r.pair(peer, port)
	return v.matchRefs(a, b, f)
}

func (v ciliumView) matchRefs(a ciliumPeerRef, b ciliumPortRef, f flow.Flow) fit {
	if f.Lookup {
		return v.matchLookup(a, b, f)
	}
	return fit{v.fitPeer(a, f), v.fitPort(b, f), v.redirects(a, b, f)}
}

// redirects is as that of the other dialect: a person's word for a resolver that goes by other labels.
func (v ciliumView) redirects(peer ciliumPeerRef, port ciliumPortRef, f flow.Flow) bool {
	if f.Destination.Kind != flow.Resolver || !v.scope.isResolverPort(f.Port) || peer.name != nil || port.icmp != nil ||
		port.port != nil && !fitProtocol(*port.port, f.Protocol) || v.isForOtherResolver(peer, f.Destination) {
		return false
	}
	if peer.endpoint != nil && v.lostNamespace(peer.endpoint, f.Destination) || v.isNoResolver(peer, f.Destination) {
		return false
	}
	switch v.scope.wordOfCiliumPort(port, f.Port) {
	case namesDNS:
		return true
	case includesDNS:
		return mayBeCiliumResolver(peer)
	}
	return false
}

func (v ciliumView) fitPeer(peer ciliumPeerRef, f flow.Flow) peerFit {
	far := v.direction.far(f)
	isServer := v.direction == egress && isAPIServer(far)
	isHost := isNode(far) || usesHostNetwork(far)
	arePods := far.Kind == flow.Workload
	switch {
	case peer == ciliumPeerRef{}, peer.entity == cilium.All:
		return peerFits
	case far.Kind == flow.Resolver:
		return v.fitResolver(peer, v.scope.resolverOf(far))
	case far.Kind == flow.Anyone:
		return otherSort // whatever the peer is, others may call too
	case peer.entity != "":
		return v.fitEntity(peer.entity, far, f, isServer)
	case peer.endpoint != nil && (isServer || isHost || !arePods) && selectsOthers(peer.endpoint):
		return peerFits
	case isServer, isHost, arePods != (peer.endpoint != nil):
		return otherSort
	case arePods:
		return v.fitPods(peer.endpoint, far)
	case peer.name != nil:
		return v.fitName(*peer.name, far)
	}
	return v.fitCIDR(peer.cidr, far)
}

// selectsOthers reports whether a selector is for all that is no pod, too: one that asks for a namespace in any way is not
// kept to the policy's own, and what has no labels has none that is excluded.
func selectsOthers(selector *metav1.LabelSelector) bool {
	plain := plainSelector(selector)
	return selects(plain, nil) && slices.ContainsFunc(plain.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return isNamespaceKey(e.Key) })
}

func (v ciliumView) fitEntity(entity string, far flow.Endpoint, f flow.Flow, isServer bool) peerFit {
	isWorld := !isServer && (far.Kind == flow.External || far.Kind == flow.Address)
	var fits bool
	switch entity {
	case cilium.APIServer:
		fits = isServer
	case cilium.Host:
		fits = isNode(far) || (usesHostNetwork(far) || isServer) && v.opens(cilium.RemoteNode, f)
	case cilium.RemoteNode:
		fits = (usesHostNetwork(far) || isServer) && v.opens(cilium.Host, f) // the API server runs on some of the nodes
	case cilium.Cluster, cilium.Mesh:
		fits = !isWorld
	case cilium.World:
		fits = isWorld
	}
	if fits {
		return peerFits
	}
	return otherSort
}

// opens reports whether a rule is for an entity by this name, at the port of a flow. Pods on the network of their nodes may be
// on the node of their callers, or on another.
func (v ciliumView) opens(entity string, f flow.Flow) bool {
	return slices.ContainsFunc(v.rules, func(r ciliumRule) bool {
		return slices.Contains(r.entities, entity) && (len(r.openTo()) == 0 ||
			slices.ContainsFunc(r.openTo(), func(port ciliumPortRef) bool { return v.fitPort(port, f) == portFits }))
	})
}

func (v ciliumView) fitPods(selector *metav1.LabelSelector, far flow.Endpoint) peerFit {
	w, _ := v.scope.workload(far)
	return v.fitLabels(selector, w.at(v.direction).labels(), namespaceOf(w, v.direction, v.subject, v.namespace))
}

// fitLabels holds a selector against pods of a namespace.
func (v ciliumView) fitLabels(selector *metav1.LabelSelector, pods labels.Set, namespace string) peerFit {
	plain := plainSelector(selector)
	byNamespace, others := &metav1.LabelSelector{}, &metav1.LabelSelector{}
	part := func(key string) *metav1.LabelSelector {
		if isNamespaceKey(key) {
			return byNamespace
		}
		return others
	}
	for _, key := range slices.Sorted(maps.Keys(plain.MatchLabels)) {
		metav1.AddLabelToSelector(part(key), key, plain.MatchLabels[key])
	}
	for _, e := range plain.MatchExpressions {
		p := part(e.Key)
		p.MatchExpressions = append(p.MatchExpressions, e)
	}
	all := ciliumLabels(pods, namespace, v.scope.namespaceLabels(namespace))
	inNamespace := selects(byNamespace, all)
	if isEmpty(byNamespace) {
		inNamespace = namespace == v.namespace
	}
	switch {
	case !selects(others, all):
		return otherPeer
	case !inNamespace:
		return otherNamespace
	}
	return peerFits
}

// fitName asks for a name and for the leave to look it up. An address without a name may be any host's.
func (v ciliumView) fitName(name cilium.FQDN, far flow.Endpoint) peerFit {
	switch {
	case far.Kind != flow.External || v.direction == ingress:
		return otherSort
	case !name.Matches(far.Name):
		return otherPeer
	case !v.readsLookup(far.Name):
		return unseen
	}
	return peerFits
}

func (v ciliumView) readsLookup(host string) bool {
	if v.read != nil {
		return v.read.matches(host)
	}
	return slices.ContainsFunc(v.lookups, func(n cilium.FQDN) bool { return n.Matches(host) })
}

// fitCIDR is for addresses outside of the cluster. In a policy that names hosts a single address is not for those of
// another name, as in the other dialect.
func (v ciliumView) fitCIDR(r *cilium.CIDRRule, far flow.Endpoint) peerFit {
	prefix, err := netip.ParsePrefix(r.CIDR)
	addr := address(far)
	external := v.direction == egress && far.Kind == flow.External
	switch {
	case err != nil:
		return otherPeer
	case !addr.IsValid() && external && prefix.Bits() == 0:
	case !prefix.Contains(addr):
		return otherPeer
	case exceptIn(r.Except, addr) != "":
		return excepted
	case external && v.named && prefix.IsSingleIP():
		return unnamed
	}
	return peerFits
}

func (v ciliumView) fitPort(ref ciliumPortRef, f flow.Flow) portFit {
	if v.direction == ingress {
		return v.fitOnePort(ref, f)
	}
	return fitAnyPort(f, func(f flow.Flow) portFit { return v.fitOnePort(ref, f) })
}

func (v ciliumView) fitOnePort(ref ciliumPortRef, f flow.Flow) portFit {
	switch {
	case ref.icmp != nil:
		return fitICMP(*ref.icmp, f)
	case ref.port == nil:
		return portFits // of whichever protocol
	case !f.Protocol.HasPorts() || f.Port == 0:
		return otherPort
	}
	first, isNumber := ref.port.Number()
	if !isNumber {
		return v.scope.fitPortName(strings.ToLower(ref.port.Port), fitProtocol(*ref.port, f.Protocol), f)
	}
	last := max(first, int(ref.port.EndPort))
	inRange := first == 0 || first <= int(f.Port) && int(f.Port) <= last
	switch {
	case !inRange:
		return otherPort
	case !fitProtocol(*ref.port, f.Protocol):
		return otherProtocol
	}
	return portFits
}

func fitProtocol(p cilium.Port, protocol flow.Protocol) bool {
	return p.Protocol == protocol.String() || protocol.HasPorts() && (p.Protocol == "" || p.Protocol == cilium.Any)
}

func fitICMP(field cilium.ICMPField, f flow.Flow) portFit {
	family := flow.ICMP
	if field.Family == cilium.IPv6 {
		family = flow.ICMPv6
	}
	switch {
	case f.Protocol != family:
		return otherPort
	case field.Number() != icmpType(f):
		return otherProtocol
	}
	return portFits
}
