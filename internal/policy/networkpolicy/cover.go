package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// covering compares rules: which parts of them allow everything that others allow? It may miss such a part, but it
// never reports one wrongly.
type covering struct {
	direction policy.Direction
	annotated bool                 // the internet is open only to listed names
	reserved  []policy.Reservation // the peers that rules without peers are reserved for
}

// covers reports whether a rule allows everything that a pair of another rule allows.
func (c covering) covers(r Rule, peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) bool {
	for p, q := range r.pairs() {
		if p == nil && peer != nil && slices.ContainsFunc(c.reserved, func(r policy.Reservation) bool {
			return isPortOf(
				r, q,
			)
		}) {
			continue // which an annotation reserves for others
		}
		if c.coversPeer(p, peer) && coversPort(q, port) &&
			(!c.namesDNS(peer, port) || c.namesDNS(p, q) ||
				allowsAnyDNS(p, q) && (Dialect{}).classifyPort(port, policy.ResolverPort) == policy.IncludesDNS) {
			return true
		}
	}
	return false
}

// namesDNS reports whether a pair may stand for the cluster's resolver with any peer; see redirects.
func (c covering) namesDNS(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) bool {
	if c.direction != policy.Egress || port != nil && portProtocol(port) == flow.SCTP || c.annotated && isInternet(peer) {
		return false
	}
	switch (Dialect{}).classifyPort(port, policy.ResolverPort) {
	case policy.NamesDNS:
		return true
	case policy.IncludesDNS:
		return peer != nil && mayBeResolver(peer)
	}
	return false
}

// allowsAnyDNS reports whether a pair allows every port everywhere.
func allowsAnyDNS(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) bool {
	return peer == nil && (port == nil || port.Port == nil)
}

func (c covering) coversPeer(wide, narrow *networkingv1.NetworkPolicyPeer) bool {
	switch {
	case wide == nil:
		return true
	case narrow == nil || (wide.IPBlock != nil) != (narrow.IPBlock != nil):
		return false
	case equality.Semantic.DeepEqual(wide, narrow):
		return true
	case wide.IPBlock != nil:
		return policy.CoversRange(wide.IPBlock.CIDR, wide.IPBlock.Except, narrow.IPBlock.CIDR, narrow.IPBlock.Except) &&
			(!c.annotated || isInternet(wide) == isInternet(narrow))
	}
	switch w, n := wide.NamespaceSelector, narrow.NamespaceSelector; {
	case w == nil && n != nil, w != nil && n == nil && !policy.IsEmpty(w), w != nil && n != nil &&
		!policy.CoversSelector(w, n):
		return false
	}
	return policy.CoversSelector(wide.PodSelector, narrow.PodSelector)
}

func coversPort(wide, narrow *networkingv1.NetworkPolicyPort) bool {
	switch {
	case wide == nil:
		return true
	case narrow == nil || portProtocol(wide) != portProtocol(narrow):
		return false
	case wide.Port == nil:
		return true
	case narrow.Port == nil || wide.Port.Type != narrow.Port.Type:
		return false
	case wide.Port.Type == intstr.String:
		return wide.Port.StrVal == narrow.Port.StrVal
	}
	last := func(p *networkingv1.NetworkPolicyPort) int32 {
		if p.EndPort != nil {
			return *p.EndPort
		}
		return p.Port.IntVal
	}
	return wide.Port.IntVal <= narrow.Port.IntVal && last(narrow) <= last(wide)
}
