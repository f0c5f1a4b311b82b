package networkpolicy

import (
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// pairs yields every peer of a rule with each of its ports. A nil peer means everywhere and a nil port every port, as
// Kubernetes reads a missing or empty list. A rule allows everything that any of its pairs allows.
func (r Rule) pairs() iter.Seq2[*networkingv1.NetworkPolicyPeer, *networkingv1.NetworkPolicyPort] {
	return func(yield func(*networkingv1.NetworkPolicyPeer, *networkingv1.NetworkPolicyPort) bool) {
		for i := range max(1, len(r.Peers)) {
			for j := range max(1, len(r.Ports)) {
				if !yield(element(r.Peers, i), element(r.Ports, j)) {
					return
				}
			}
		}
	}
}

func element[T any](list []T, i int) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[i]
}

func elements[T any](list []T) []*T {
	if len(list) == 0 {
		return []*T{nil}
	}
	pointers := make([]*T, len(list))
	for i := range list {
		pointers[i] = &list[i]
	}
	return pointers
}

// match compares a flow with one pair of a rule.
func (v applicable) match(
	peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow,
) policy.Match {
	if f.Lookup {
		return v.matchLookup(peer, port, f)
	}
	m := policy.Match{Peer: v.matchPeer(peer, f), Port: v.matchPort(port, f), Redirect: v.redirects(peer, port, f)}
	if peer == nil && len(v.reserved) > 0 {
		m.Peer = v.matchEverywhere(port, f)
	}
	return m
}

// redirects reports whether a pair stands for the cluster's resolver without naming it. Where DNS does not run in
// pods labelled kube-dns at port 53 (OpenShift: port 5353 of its own pods; NodeLocal: a link-local address), people
// write a rule with one of the resolver's ports. Two kinds of rules do not count. The rule for external names does
// not, because a host that is allowed at port 53 by name says nothing about the resolver. A rule for pods with the
// resolver's labels in another namespace does not either: it is the generated rule without its namespace.
//
// A rule that is less specific about ports (none, a range, a name) counts if its peer mentions DNS.
func (v applicable) redirects(
	peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow,
) bool {
	if f.Destination.Kind != flow.Resolver || !v.scope.IsResolverPort(f.Port) ||
		f.Protocol != flow.TCP && f.Protocol != flow.UDP ||
		port != nil && portProtocol(port) != f.Protocol || v.annotated && isInternet(peer) ||
		v.isForOtherResolver(peer, f.Destination) {
		return false
	}
	switch v.scope.classifyPort(port, f.Port) {
	case policy.NamesDNS:
		return peer == nil || !v.lostNamespace(peer, f.Destination) && !v.isNoResolver(peer, f.Destination)
	case policy.IncludesDNS:
		return peer != nil && mayBeResolver(peer) && !v.lostNamespace(peer, f.Destination)
	}
	return false
}

// lostNamespace reports whether a peer has the labels of the resolver's pods and certainly means another namespace.
func (v applicable) lostNamespace(peer *networkingv1.NetworkPolicyPeer, e flow.Endpoint) bool {
	return peer.IPBlock == nil && !policy.IsEmpty(peer.PodSelector) && v.matchPods(peer, e) == policy.OtherNamespace &&
		(peer.NamespaceSelector == nil || !v.scope.maySelect(peer.NamespaceSelector, v.scope.ResolverOf(e).Namespace))
}

// isForOtherResolver reports whether a peer matches a configured place of the resolver other than the queried one, or
// the default place, which is not in use then.
func (v applicable) isForOtherResolver(peer *networkingv1.NetworkPolicyPeer, e flow.Endpoint) bool {
	if len(v.scope.Resolvers) == 0 {
		return false
	}
	queried := v.scope.ResolverOf(e)
	return slices.ContainsFunc(append([]policy.Resolver{policy.DefaultResolver}, v.scope.Resolvers...),
		func(r policy.Resolver) bool {
			return !r.Equal(queried) && v.matchResolver(peer, r) == policy.PeerMatches
		})
}

// mayBeResolver reports whether a peer may be a resolver even if the rule is not specific about ports: pods or a
// namespace with DNS in their labels, or addresses that contain those of NodeLocal.
func mayBeResolver(peer *networkingv1.NetworkPolicyPeer) bool {
	if peer.IPBlock != nil {
		return policy.ContainsNodeLocal(peer.IPBlock.CIDR, peer.IPBlock.Except)
	}
	return peer.NamespaceSelector != nil && (policy.MentionsDNS(peer.PodSelector) ||
		policy.MentionsDNS(peer.NamespaceSelector))
}

// matchResolver compares a peer with a place of the resolver.
func (v applicable) matchResolver(peer *networkingv1.NetworkPolicyPeer, r policy.Resolver) policy.PeerMatch {
	switch {
	case peer == nil:
		return policy.PeerMatches
	case r.Addresses.IsValid() != (peer.IPBlock != nil):
		return policy.OtherKind
	case peer.IPBlock == nil:
		return v.matchLabels(peer, r.Labels, r.Namespace)
	case v.annotated && isInternet(peer):
		return policy.NameNotListed
	}
	return policy.MatchRange(peer.IPBlock.CIDR, peer.IPBlock.Except, r.Addresses)
}

func (v applicable) matchPeer(peer *networkingv1.NetworkPolicyPeer, f flow.Flow) policy.PeerMatch {
	peerEnd := v.direction.PeerEnd(f)
	arePods := peerEnd.Kind == flow.Workload
	switch {
	case peer == nil:
		return policy.PeerMatches
	case peerEnd.Kind == flow.Anyone:
		return policy.OtherKind // any peer still excludes other callers
	case isBeyondSelectors(v.direction, peerEnd) && peer.IPBlock != nil:
		return v.matchBlockBeyond(peer.IPBlock, peerEnd)
	case isBeyondSelectors(v.direction, peerEnd):
		return policy.OtherKind
	case peerEnd.Kind == flow.Resolver:
		return v.matchResolver(peer, v.scope.ResolverOf(peerEnd))
	case arePods == (peer.IPBlock != nil):
		return policy.OtherKind // pod addresses change: Kubernetes leaves open whether a range contains them
	case arePods:
		return v.matchPods(peer, peerEnd)
	}
	return v.matchBlock(peer.IPBlock, f)
}

func (v applicable) matchPods(peer *networkingv1.NetworkPolicyPeer, peerEnd flow.Endpoint) policy.PeerMatch {
	if peerEnd.Kind == flow.Resolver {
		r := v.scope.ResolverOf(peerEnd)
		return v.matchLabels(peer, r.Labels, r.Namespace)
	}
	w, _ := v.scope.WorkloadOf(peerEnd)
	return v.matchLabels(
		peer, w.AsPeer(v.direction).AllLabels(), policy.NamespaceOf(w, v.direction, v.subject, v.namespace),
	)
}

// matchLabels compares a peer that selects pods with the pods of a namespace.
func (v applicable) matchLabels(
	peer *networkingv1.NetworkPolicyPeer, pods labels.Set, namespace string,
) policy.PeerMatch {
	inNamespace := namespace == v.namespace
	if peer.NamespaceSelector != nil {
		inNamespace = policy.Selects(peer.NamespaceSelector, v.scope.NamespaceLabels(namespace))
	}
	switch {
	case peer.PodSelector == nil && peer.NamespaceSelector == nil:
		return policy.OtherPeer // the API server rejects it: see Validate
	case peer.PodSelector != nil && !policy.Selects(peer.PodSelector, pods):
		return policy.OtherPeer
	case !inNamespace:
		return policy.OtherNamespace
	}
	return policy.PeerMatches
}

func (v applicable) matchBlock(block *networkingv1.IPBlock, f flow.Flow) policy.PeerMatch {
	prefix, err := netip.ParsePrefix(block.CIDR)
	addr := policy.EndpointAddress(v.direction.PeerEnd(f))
	switch {
	case err != nil:
		return policy.OtherPeer
	case !addr.IsValid() && v.direction == policy.Egress && f.Destination.Kind == flow.External && prefix.Bits() == 0:
		// A name without a recorded address is somewhere on the internet.
	case !prefix.Contains(addr):
		return policy.OtherPeer
	case policy.ExceptionFor(block.Except, addr) != "":
		return policy.Excepted
	}
	return v.matchName(prefix, f)
}

// matchName checks a flow inside a range against [policy.NamesAnnotation], if the policy has it. The internet is open
// only to listed names. A single address is open to listed names and to peers without a name. Any other range is a
// person's explicit choice.
func (v applicable) matchName(prefix netip.Prefix, f flow.Flow) policy.PeerMatch {
	external := f.Destination.Kind == flow.External
	if !v.annotated || prefix.Bits() > 0 && !(external && prefix.IsSingleIP()) {
		return policy.PeerMatches
	}
	nearest := policy.NameNotListed
	consider := func(n policy.AllowedName) bool {
		if n.Matches(f) {
			nearest = policy.PeerMatches
			return false
		}
		if external && policy.MatchHost(n.Host, f.Destination.Name) {
			nearest = policy.NamedElsewhere
		}
		return true
	}
	if v.listed != nil {
		v.listed.Each(f.Destination.Name, consider)
		return nearest
	}
	for _, n := range v.names {
		if !consider(n) {
			break
		}
	}
	return nearest
}

func (v applicable) matchPort(port *networkingv1.NetworkPolicyPort, f flow.Flow) policy.PortMatch {
	return policy.MatchAnyPort(f, func(f flow.Flow) policy.PortMatch { return v.matchOnePort(port, f) })
}

func (v applicable) matchOnePort(port *networkingv1.NetworkPolicyPort, f flow.Flow) policy.PortMatch {
	if !f.Protocol.HasPorts() || f.Port == 0 {
		return policy.OtherPort
	}
	if port == nil {
		return policy.PortMatches
	}
	if port.Port != nil && port.Port.Type == intstr.String {
		return v.scope.MatchPortName(port.Port.StrVal, portProtocol(port) == f.Protocol, f)
	}
	inRange := true
	if port.Port != nil {
		first, last := port.Port.IntVal, port.Port.IntVal
		if port.EndPort != nil {
			last = *port.EndPort
		}
		inRange = first <= int32(f.Port) && int32(f.Port) <= last
	}
	switch {
	case !inRange:
		return policy.OtherPort
	case portProtocol(port) != f.Protocol:
		return policy.OtherProtocol
	}
	return policy.PortMatches
}

func portProtocol(port *networkingv1.NetworkPolicyPort) flow.Protocol {
	if port.Protocol == nil {
		return policy.ProtocolOf(corev1.ProtocolTCP)
	}
	return policy.ProtocolOf(*port.Protocol)
}

func isInternet(peer *networkingv1.NetworkPolicyPeer) bool {
	if peer == nil || peer.IPBlock == nil {
		return false
	}
	prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
	return err == nil && prefix.Bits() == 0
}
