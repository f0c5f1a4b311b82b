package ciliumpolicy

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// peerOf returns the peer key of a place of the resolver. For the default resolver, only the rank is set.
func peerOf(r policy.Resolver) peerKey {
	switch {
	case r.Equal(policy.DefaultResolver):
		return peerKey{rank: rankResolver}
	case r.Addresses.IsValid():
		return peerKey{rank: rankResolver, addr: r.Addresses.Addr(), bits: r.Addresses.Bits()}
	}
	return peerKey{rank: rankResolver, namespace: r.Namespace, labels: labels.Set(r.Labels).String()}
}

// samePeers reports whether two rules have the same peers.
func samePeers(a, b Rule) bool {
	a.Cidrs, b.Cidrs, a.Addresses, b.Addresses = a.ranges(), b.ranges(), nil, nil
	for _, r := range []*Rule{&a, &b} {
		r.Endpoints = slices.Clone(r.Endpoints)
		for i := range r.Endpoints {
			r.Endpoints[i] = *plainSelector(&r.Endpoints[i])
		}
	}
	return equality.Semantic.DeepEqual(a.Endpoints, b.Endpoints) && equality.Semantic.DeepEqual(a.Cidrs, b.Cidrs) &&
		slices.Equal(a.Names, b.Names) && slices.Equal(a.Entities, b.Entities)
}

// readLookups allows a port of the resolver and lets Cilium read every lookup there.
func (r *Rule) readLookups(port uint16) {
	number := strconv.Itoa(int(port))
	r.Ports = slices.Clone(r.Ports)
	for i, rule := range r.Ports {
		if !rule.HasDNS() {
			continue
		}
		if !slices.ContainsFunc(rule.Ports, func(p cilium.Port) bool { return p.Port == number }) {
			r.Ports[i].Ports = append(slices.Clone(rule.Ports), lookups(port).Ports...)
		}
		return
	}
	r.Ports = slices.Insert(r.Ports, 0, lookups(port))
}

func (c Dialect) classifyPort(ref portRef, queried uint16) policy.DNSPorts {
	if ref.port == nil {
		return policy.IncludesDNS
	}
	first, isNumber := ref.port.Number()
	switch {
	case !isNumber && policy.IsDNSName(ref.port.Port), isNumber && first == 0:
		return policy.IncludesDNS
	case !isNumber:
		return policy.NoDNS
	}
	return c.ClassifyPorts(int32(first), int32(max(first, int(ref.port.EndPort))), queried)
}

// mayBeResolver reports whether a peer, whatever its ports, may be the resolver. The host may be, because NodeLocal
// DNSCache runs there.
func mayBeResolver(peer peerRef) bool {
	switch {
	case peer.cidr != nil:
		return policy.ContainsNodeLocal(peer.cidr.CIDR, peer.cidr.Except)
	case peer.endpoint != nil:
		selector := plainSelector(peer.endpoint)
		return namesNamespace(selector) && policy.MentionsDNS(selector)
	}
	return peer.entity == cilium.Host
}

// namesNamespace reports whether a selector has a requirement on its pods' namespace.
func namesNamespace(selector *metav1.LabelSelector) bool {
	for key := range selector.MatchLabels {
		if isNamespaceKey(key) {
			return true
		}
	}
	return slices.ContainsFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
		return isNamespaceKey(e.Key)
	})
}

// allowsAny reports whether a pair allows every port of every peer.
func allowsAny(peer peerRef, port portRef) bool {
	return (peer == peerRef{} || peer.entity == cilium.All) && port == portRef{}
}

// lostNamespace reports whether a selector selects pods like the resolver's, but certainly in another namespace. If no
// manifest has the resolver's namespace, only its name is known, so requirements on its other labels are ignored.
func (v applicable) lostNamespace(peer peerRef, e flow.Endpoint) bool {
	selector, r := peer.endpoint, v.scope.ResolverOf(e)
	if len(peer.selector().ofPods.MatchLabels) == 0 && !slices.ContainsFunc(selector.MatchExpressions, isOfPods) ||
		v.matchLabels(peer, r.Labels, r.Namespace) != policy.OtherNamespace {
		return false
	}
	if _, known := v.scope.Namespaces[r.Namespace]; known {
		return true
	}
	byName := plainSelector(selector).DeepCopy()
	isUnknown := func(key string) bool {
		return isNamespaceKey(key) && key != cilium.NamespaceLabel && key != cilium.NamespaceMetaLabel+policy.NamespaceLabel
	}
	before := len(byName.MatchLabels) + len(byName.MatchExpressions)
	for key := range byName.MatchLabels {
		if isUnknown(key) {
			delete(byName.MatchLabels, key)
		}
	}
	byName.MatchExpressions = slices.DeleteFunc(byName.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
		return isUnknown(e.Key)
	})
	if len(byName.MatchLabels)+len(byName.MatchExpressions) == before {
		return true
	}
	return namesNamespace(byName) &&
		v.matchLabels(peerRef{endpoint: byName}, r.Labels, r.Namespace) == policy.OtherNamespace
}

// isNoResolver reports whether a peer cannot be a place of the resolver, whatever its ports: addresses that never leave
// the pod, or all pods of the policy's namespace if the resolver is in another.
func (v applicable) isNoResolver(peer peerRef, e flow.Endpoint) bool {
	switch {
	case peer.cidr != nil:
		return policy.IsLoopbackRange(peer.cidr.CIDR)
	case peer.endpoint != nil:
		return policy.IsEmpty(plainSelector(peer.endpoint)) && v.scope.ResolverOf(e).IsElsewhere(v.namespace)
	}
	return false
}

func isOfPods(e metav1.LabelSelectorRequirement) bool { return !isNamespaceKey(plainKey(e.Key)) }

// isForOtherResolver reports whether a peer matches a place of the resolver other than e: one that the user named, or
// the default. It returns false if the user named none.
func (v applicable) isForOtherResolver(peer peerRef, e flow.Endpoint) bool {
	if len(v.scope.Resolvers) == 0 {
		return false
	}
	queried := v.scope.ResolverOf(e)
	return slices.ContainsFunc(append([]policy.Resolver{policy.DefaultResolver}, v.scope.Resolvers...),
		func(r policy.Resolver) bool {
			return !r.Equal(queried) && v.matchResolver(peer, r) == policy.PeerMatches
		})
}

// matchResolver is matchPeer for a place of the resolver.
func (v applicable) matchResolver(peer peerRef, r policy.Resolver) policy.PeerMatch {
	switch {
	case peer == peerRef{}, peer.entity == cilium.All:
		return policy.PeerMatches
	case r.Addresses.IsValid() && peer.cidr != nil:
		return policy.MatchRange(peer.cidr.CIDR, peer.cidr.Except, r.Addresses)
	case r.Addresses.IsValid():
		if peer.entity == cilium.Host || peer.entity == cilium.World || peer.endpoint != nil && selectsOthers(peer) {
			return policy.PeerMatches // Cilium treats some of the node's own addresses as the host, others as the world
		}
		return policy.OtherKind
	case peer.entity != "":
		return v.matchEntity(peer.entity, flow.ClusterResolver, flow.Flow{}, false)
	case peer.endpoint != nil:
		return v.matchLabels(peer, r.Labels, r.Namespace)
	}
	return policy.OtherKind
}
