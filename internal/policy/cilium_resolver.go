package policy

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ciliumPeer is what a rule for a place of the resolver depends on. That of clustersResolver is its rank alone.
func (r Resolver) ciliumPeer() ciliumPeer {
	switch {
	case r.is(clustersResolver):
		return ciliumPeer{rank: rankResolver}
	case r.Addresses.IsValid():
		return ciliumPeer{rank: rankResolver, addr: r.Addresses.Addr(), bits: r.Addresses.Bits()}
	}
	return ciliumPeer{rank: rankResolver, namespace: r.Namespace, labels: labels.Set(r.Labels).String()}
}

// samePeers reports whether two rules are for the same peers.
func samePeers(a, b ciliumRule) bool {
	a.cidrs, b.cidrs, a.addresses, b.addresses = a.ranges(), b.ranges(), nil, nil
	for _, r := range []*ciliumRule{&a, &b} {
		r.endpoints = slices.Clone(r.endpoints)
		for i := range r.endpoints {
			r.endpoints[i] = *plainSelector(&r.endpoints[i])
		}
	}
	return equality.Semantic.DeepEqual(a.endpoints, b.endpoints) && equality.Semantic.DeepEqual(a.cidrs, b.cidrs) &&
		slices.Equal(a.names, b.names) && slices.Equal(a.entities, b.entities)
}

// readLookups opens a port of the resolver, where Cilium reads every look-up.
func (r *ciliumRule) readLookups(port uint16) {
	number := strconv.Itoa(int(port))
	r.ports = slices.Clone(r.ports)
	for i, rule := range r.ports {
		if !rule.HasDNS() {
			continue
		}
		if !slices.ContainsFunc(rule.Ports, func(p cilium.Port) bool { return p.Port == number }) {
			r.ports[i].Ports = append(slices.Clone(rule.Ports), lookups(port).Ports...)
		}
		return
	}
	r.ports = slices.Insert(r.ports, 0, lookups(port))
}

func (s Scope) wordOfCiliumPort(ref ciliumPortRef, asked uint16) portWord {
	if ref.port == nil {
		return includesDNS
	}
	first, isNumber := ref.port.Number()
	switch {
	case !isNumber && isDNSName(ref.port.Port), isNumber && first == 0:
		return includesDNS
	case !isNumber:
		return otherWord
	}
	return s.wordOfPorts(int32(first), int32(max(first, int(ref.port.EndPort))), asked)
}

// mayBeCiliumResolver is mayBeResolver; the host is where NodeLocal DNSCache runs.
func mayBeCiliumResolver(peer ciliumPeerRef) bool {
	switch {
	case peer.cidr != nil:
		return holdsNodeLocal(peer.cidr.CIDR, peer.cidr.Except)
	case peer.endpoint != nil:
		selector := plainSelector(peer.endpoint)
		return namesNamespace(selector) && speaksOfDNS(selector)
	}
	return peer.entity == cilium.Host
}

// namesNamespace reports whether a selector says something of its pods' namespace.
func namesNamespace(selector *metav1.LabelSelector) bool {
	for key := range selector.MatchLabels {
		if isNamespaceKey(key) {
			return true
		}
	}
	return slices.ContainsFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return isNamespaceKey(e.Key) })
}

// allowsAnyCilium reports whether a pair is for every port of everywhere.
func allowsAnyCilium(peer ciliumPeerRef, port ciliumPortRef) bool {
	return (peer == ciliumPeerRef{} || peer.entity == cilium.All) && port == ciliumPortRef{}
}

// lostNamespace is that of the other dialect. What a selector asks of a namespace beside its name, nobody knows of one that
// no manifest has.
func (v ciliumView) lostNamespace(selector *metav1.LabelSelector, e flow.Endpoint) bool {
	r := v.scope.resolverOf(e)
	if len(podLabels(selector)) == 0 && !slices.ContainsFunc(selector.MatchExpressions, isOfPods) ||
		v.fitLabels(selector, r.Labels, r.Namespace) != otherNamespace {
		return false
	}
	if _, known := v.scope.Namespaces[r.Namespace]; known {
		return true
	}
	byName := plainSelector(selector).DeepCopy()
	isUnknown := func(key string) bool {
		return isNamespaceKey(key) && key != cilium.NamespaceLabel && key != cilium.NamespaceMetaLabel+namespaceLabel
	}
	before := len(byName.MatchLabels) + len(byName.MatchExpressions)
	for key := range byName.MatchLabels {
		if isUnknown(key) {
			delete(byName.MatchLabels, key)
		}
	}
	byName.MatchExpressions = slices.DeleteFunc(byName.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool { return isUnknown(e.Key) })
	if len(byName.MatchLabels)+len(byName.MatchExpressions) == before {
		return true
	}
	return namesNamespace(byName) && v.fitLabels(byName, r.Labels, r.Namespace) == otherNamespace
}

// isNoResolver is that of the other dialect.
func (v ciliumView) isNoResolver(peer ciliumPeerRef, e flow.Endpoint) bool {
	switch {
	case peer.cidr != nil:
		return isLoopbackRange(peer.cidr.CIDR)
	case peer.endpoint != nil:
		return isEmpty(plainSelector(peer.endpoint)) && v.scope.resolverOf(e).isElsewhere(v.namespace)
	}
	return false
}

func isOfPods(e metav1.LabelSelectorRequirement) bool { return !isNamespaceKey(plainKey(e.Key)) }

// isForOtherResolver is that of the other dialect.
func (v ciliumView) isForOtherResolver(peer ciliumPeerRef, e flow.Endpoint) bool {
	if len(v.scope.Resolvers) == 0 {
		return false
	}
	asked := v.scope.resolverOf(e)
	return slices.ContainsFunc(append([]Resolver{clustersResolver}, v.scope.Resolvers...), func(r Resolver) bool {
		return !r.is(asked) && v.fitResolver(peer, r) == peerFits
	})
}

// fitResolver is fitPeer for a place of the resolver.
func (v ciliumView) fitResolver(peer ciliumPeerRef, r Resolver) peerFit {
	switch {
	case peer == ciliumPeerRef{}, peer.entity == cilium.All:
		return peerFits
	case r.Addresses.IsValid() && peer.cidr != nil:
		return fitRange(peer.cidr.CIDR, peer.cidr.Except, r.Addresses)
	case r.Addresses.IsValid():
		if peer.entity == cilium.Host || peer.entity == cilium.World || peer.endpoint != nil && selectsOthers(peer.endpoint) {
			return peerFits // of the node's own addresses Cilium knows some as the host, some as the world
		}
		return otherSort
	case peer.entity != "":
		return v.fitEntity(peer.entity, flow.ClusterResolver, flow.Flow{}, false)
	case peer.endpoint != nil:
		return v.fitLabels(peer.endpoint, r.Labels, r.Namespace)
	}
	return otherSort
}
