package policy

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// pairs yields every peer of a rule with each of its ports. A nil peer is everywhere and a nil port every port:
// what Kubernetes means by a list that is missing or empty. A rule allows what any of its pairs allows.
func (r rule) pairs() iter.Seq2[*networkingv1.NetworkPolicyPeer, *networkingv1.NetworkPolicyPort] {
	return func(yield func(*networkingv1.NetworkPolicyPeer, *networkingv1.NetworkPolicyPort) bool) {
		for _, peer := range elements(r.peers) {
			for _, port := range elements(r.ports) {
				if !yield(peer, port) {
					return
				}
			}
		}
	}
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

// peerFit says how near a peer comes to a flow's far end: the further down, the nearer.
type peerFit uint8

const (
	otherSort      peerFit = iota // pods for an address, or the reverse
	otherPeer                     // other labels, or another range
	otherNamespace                // the pods, but in another namespace
	excepted                      // inside the range, but also inside an except
	unnamed                       // the range, but only for names that are not this one
	namedElsewhere                // the name, but on another port or protocol
	unseen                        // the name, but nothing lets Cilium read the look-up
	peerFits
	reserved // everywhere, at the flow's very port; but by an annotation for others
)

// portFit says how near a port comes to a flow's: the further down, the nearer.
type portFit uint8

const (
	otherPort portFit = iota
	otherProtocol
	portByName // the pods resolve it, and what it is there is not known, or nothing
	portFits
)

type fit struct {
	peer     peerFit
	port     portFit
	redirect bool // a person's word for the cluster's resolver
}

func (m fit) allows() bool { return m.redirect || m.peer == peerFits && m.port == portFits }

func (m fit) compare(n fit) int {
	return cmp.Or(cmp.Compare(m.peer, n.peer), cmp.Compare(m.port, n.port))
}

// match holds a flow against one pair of a rule.
func (v view) match(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow) fit {
	if f.Lookup {
		return v.matchLookup(peer, port, f)
	}
	m := fit{v.fitPeer(peer, f), v.fitPort(port, f), v.redirects(peer, port, f)}
	if peer == nil && len(v.reserved) > 0 {
		m.peer = v.fitEverywhere(port, f)
	}
	return m
}

// redirects reports whether a pair stands for the cluster's resolver without saying so. Where DNS does not run in
// pods labelled kube-dns at port 53 (OpenShift: port 5353 of its own pods; NodeLocal: a link-local address), people
// write a rule that names one of its ports. The rule for the internet's names is not one of those: a host that is
// asked on port 53 by name says nothing about the resolver, and pods with the resolver's labels in another namespace are
// none: that is its own rule, which lost the namespace.
//
// A rule that says less of ports (none, a range, a name) is one of those where its peer speaks of DNS.
func (v view) redirects(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow) bool {
	if f.Destination.Kind != flow.Resolver || !v.scope.isResolverPort(f.Port) || f.Protocol != flow.TCP && f.Protocol != flow.UDP ||
		port != nil && portProtocol(port) != f.Protocol || v.annotated && isInternet(peer) || v.isForOtherResolver(peer, f.Destination) {
		return false
	}
	switch v.scope.wordOfPort(port, f.Port) {
	case namesDNS:
		return peer == nil || !v.lostNamespace(peer, f.Destination) && !v.isNoResolver(peer, f.Destination)
	case includesDNS:
		return peer != nil && mayBeResolver(peer) && !v.lostNamespace(peer, f.Destination)
	}
	return false
}

// lostNamespace reports whether a peer is for pods as the resolver's, and certainly in another namespace.
func (v view) lostNamespace(peer *networkingv1.NetworkPolicyPeer, e flow.Endpoint) bool {
	return peer.IPBlock == nil && !isEmpty(peer.PodSelector) && v.fitPods(peer, e) == otherNamespace &&
		(peer.NamespaceSelector == nil || !v.scope.maySelect(peer.NamespaceSelector, v.scope.resolverOf(e).Namespace))
}

// isForOtherResolver reports whether a peer is for another place than that which is asked, of those that the user names, or
// for the usual one, which is then known not to be that.
func (v view) isForOtherResolver(peer *networkingv1.NetworkPolicyPeer, e flow.Endpoint) bool {
	if len(v.scope.Resolvers) == 0 {
		return false
	}
	asked := v.scope.resolverOf(e)
	return slices.ContainsFunc(append([]Resolver{clustersResolver}, v.scope.Resolvers...), func(r Resolver) bool {
		return !r.is(asked) && v.fitResolver(peer, r) == peerFits
	})
}

// mayBeResolver reports whether a peer that says nothing of ports may be a resolver: pods or a namespace that speak of DNS,
// or addresses that hold NodeLocal's.
func mayBeResolver(peer *networkingv1.NetworkPolicyPeer) bool {
	if peer.IPBlock != nil {
		return holdsNodeLocal(peer.IPBlock.CIDR, peer.IPBlock.Except)
	}
	return peer.NamespaceSelector != nil && (speaksOfDNS(peer.PodSelector) || speaksOfDNS(peer.NamespaceSelector))
}

// fitResolver is fitPeer for a place of the resolver.
func (v view) fitResolver(peer *networkingv1.NetworkPolicyPeer, r Resolver) peerFit {
	switch {
	case peer == nil:
		return peerFits
	case r.Addresses.IsValid() != (peer.IPBlock != nil):
		return otherSort
	case peer.IPBlock == nil:
		return v.fitLabels(peer, r.Labels, r.Namespace)
	case v.annotated && isInternet(peer):
		return unnamed
	}
	return fitRange(peer.IPBlock.CIDR, peer.IPBlock.Except, r.Addresses)
}

// fitRange holds a range of addresses against another one.
func fitRange(cidr string, except []string, addresses netip.Prefix) peerFit {
	prefix, err := netip.ParsePrefix(cidr)
	overlaps := func(text string) bool {
		e, err := netip.ParsePrefix(text)
		return err == nil && e.Overlaps(addresses)
	}
	switch {
	case err != nil || !holds(prefix, addresses):
		return otherPeer
	case slices.ContainsFunc(except, overlaps):
		return excepted
	}
	return peerFits
}

// openShiftPort is that of OpenShift's resolver, behind port 53 of its Service.
const openShiftPort = 5353

func isDNSPort(port int32) bool { return port == resolverPort || port == openShiftPort }

func (v view) fitPeer(peer *networkingv1.NetworkPolicyPeer, f flow.Flow) peerFit {
	far := v.direction.far(f)
	arePods := far.Kind == flow.Workload
	switch {
	case peer == nil:
		return peerFits
	case far.Kind == flow.Anyone:
		return otherSort // whatever the peer is, others may call too
	case isBeyondSelectors(v.direction, far) && peer.IPBlock != nil:
		return v.fitBlockBeyond(peer.IPBlock, far)
	case isBeyondSelectors(v.direction, far):
		return otherSort
	case far.Kind == flow.Resolver:
		return v.fitResolver(peer, v.scope.resolverOf(far))
	case arePods == (peer.IPBlock != nil):
		return otherSort // pods come and go with their addresses: Kubernetes leaves it open whether a range holds them
	case arePods:
		return v.fitPods(peer, far)
	}
	return v.fitBlock(peer.IPBlock, f)
}

func (v view) fitPods(peer *networkingv1.NetworkPolicyPeer, far flow.Endpoint) peerFit {
	if far.Kind == flow.Resolver {
		r := v.scope.resolverOf(far)
		return v.fitLabels(peer, r.Labels, r.Namespace)
	}
	w, _ := v.scope.workload(far)
	return v.fitLabels(peer, w.at(v.direction).labels(), namespaceOf(w, v.direction, v.subject, v.namespace))
}

// namespaceOf returns a peer's namespace, or [anyNamespace], which no selector but one for all namespaces has.
func namespaceOf(w Workload, d direction, subject Workload, namespace string) string {
	if isFromAnywhere(d, w, subject) {
		return anyNamespace
	}
	return cmp.Or(w.Namespace, namespace)
}

// fitLabels holds a peer that selects pods against those of a namespace.
func (v view) fitLabels(peer *networkingv1.NetworkPolicyPeer, pods labels.Set, namespace string) peerFit {
	inNamespace := namespace == v.namespace
	if peer.NamespaceSelector != nil {
		inNamespace = selects(peer.NamespaceSelector, v.scope.namespaceLabels(namespace))
	}
	switch {
	case peer.PodSelector == nil && peer.NamespaceSelector == nil:
		return otherPeer // the API server refuses it: see Validate
	case peer.PodSelector != nil && !selects(peer.PodSelector, pods):
		return otherPeer
	case !inNamespace:
		return otherNamespace
	}
	return peerFits
}

func (v view) fitBlock(block *networkingv1.IPBlock, f flow.Flow) peerFit {
	prefix, err := netip.ParsePrefix(block.CIDR)
	addr := address(v.direction.far(f))
	switch {
	case err != nil:
		return otherPeer
	case !addr.IsValid() && v.direction == egress && f.Destination.Kind == flow.External && prefix.Bits() == 0:
		// A name whose address nobody saw is somewhere on the internet.
	case !prefix.Contains(addr):
		return otherPeer
	case exceptIn(block.Except, addr) != "":
		return excepted
	}
	return v.fitName(prefix, f)
}

// exceptIn returns the first of a range's exceptions that holds an address, or "" if none does.
func exceptIn(excepted []string, addr netip.Addr) string {
	for _, e := range excepted {
		if p, err := netip.ParsePrefix(e); err == nil && p.Contains(addr) {
			return e
		}
	}
	return ""
}

// fitName asks [NamesAnnotation], where there is one, about a flow inside a range. The internet is open to listed
// names only, and a single address to listed names and to those who have no name for it. Any other range is a
// person's explicit choice.
func (v view) fitName(prefix netip.Prefix, f flow.Flow) peerFit {
	external := f.Destination.Kind == flow.External
	if !v.annotated || prefix.Bits() > 0 && !(external && prefix.IsSingleIP()) {
		return peerFits
	}
	nearest := unnamed
	consider := func(n allowedName) bool {
		if n.matches(f) {
			nearest = peerFits
			return false
		}
		if external && matchHost(n.host, f.Destination.Name) {
			nearest = namedElsewhere
		}
		return true
	}
	if v.listed != nil {
		v.listed.each(f.Destination.Name, consider)
		return nearest
	}
	for _, n := range v.names {
		if !consider(n) {
			break
		}
	}
	return nearest
}

func (v view) fitPort(port *networkingv1.NetworkPolicyPort, f flow.Flow) portFit {
	return fitAnyPort(f, func(f flow.Flow) portFit { return v.fitOnePort(port, f) })
}

func (v view) fitOnePort(port *networkingv1.NetworkPolicyPort, f flow.Flow) portFit {
	if !f.Protocol.HasPorts() || f.Port == 0 {
		return otherPort
	}
	if port == nil {
		return portFits
	}
	if port.Port != nil && port.Port.Type == intstr.String {
		return v.scope.fitPortName(port.Port.StrVal, portProtocol(port) == f.Protocol, f)
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
		return otherPort
	case portProtocol(port) != f.Protocol:
		return otherProtocol
	}
	return portFits
}

func portProtocol(port *networkingv1.NetworkPolicyPort) flow.Protocol {
	if port.Protocol == nil {
		return protocolOf(corev1.ProtocolTCP)
	}
	return protocolOf(*port.Protocol)
}

func isInternet(peer *networkingv1.NetworkPolicyPeer) bool {
	if peer == nil || peer.IPBlock == nil {
		return false
	}
	prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
	return err == nil && prefix.Bits() == 0
}
