package policy

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// covering tells which parts of rules allow all that others do. It may fail to see that one does, never the reverse.
type covering struct {
	direction direction
	annotated bool          // the internet is open to names only
	reserved  []reservation // for whom rules without peers are
}

// covers reports whether a rule allows all that a pair of another does.
func (c covering) covers(r rule, peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) bool {
	for p, q := range r.pairs() {
		if p == nil && peer != nil && slices.ContainsFunc(c.reserved, func(r reservation) bool { return r.isPortOf(q) }) {
			continue // which is for others
		}
		if c.coversPeer(p, peer) && coversPort(q, port) &&
			(!c.namesDNS(peer, port) || c.namesDNS(p, q) || allowsAnyDNS(p, q) && (Scope{}).wordOfPort(port, resolverPort) == includesDNS) {
			return true
		}
	}
	return false
}

// namesDNS reports whether a pair may stand for the cluster's resolver, whatever its peer is; see view.redirects.
func (c covering) namesDNS(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort) bool {
	if c.direction != egress || port != nil && portProtocol(port) == flow.SCTP || c.annotated && isInternet(peer) {
		return false
	}
	switch (Scope{}).wordOfPort(port, resolverPort) {
	case namesDNS:
		return true
	case includesDNS:
		return peer != nil && mayBeResolver(peer)
	}
	return false
}

// allowsAnyDNS reports whether a pair is for every port of everywhere.
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
		return coversRange(wide.IPBlock.CIDR, wide.IPBlock.Except, narrow.IPBlock.CIDR, narrow.IPBlock.Except) &&
			(!c.annotated || isInternet(wide) == isInternet(narrow))
	}
	switch w, n := wide.NamespaceSelector, narrow.NamespaceSelector; {
	case w == nil && n != nil, w != nil && n == nil && !isEmpty(w), w != nil && n != nil && !coversSelector(w, n):
		return false
	}
	return coversSelector(wide.PodSelector, narrow.PodSelector)
}

// coversSelector reports whether one selector asks for no more than another. None is all pods.
func coversSelector(wide, narrow *metav1.LabelSelector) bool {
	if isEmpty(wide) {
		return true
	}
	if narrow == nil {
		return false
	}
	for key, value := range wide.MatchLabels {
		if v, asked := narrow.MatchLabels[key]; !asked || v != value {
			return false
		}
	}
	for _, e := range sortedSelector(*wide).MatchExpressions {
		if !slices.ContainsFunc(sortedSelector(*narrow).MatchExpressions, func(f metav1.LabelSelectorRequirement) bool { return equality.Semantic.DeepEqual(e, f) }) {
			return false
		}
	}
	return true
}

// coversRange reports whether a range of addresses, without its exceptions, holds another without its own.
func coversRange(wide string, wideExcept []string, narrow string, narrowExcept []string) bool {
	w, err := netip.ParsePrefix(wide)
	n, err2 := netip.ParsePrefix(narrow)
	if err != nil || err2 != nil || !holds(w, n) {
		return false
	}
	for _, text := range wideExcept {
		e, err := netip.ParsePrefix(text)
		excepted := func(text string) bool {
			f, err := netip.ParsePrefix(text)
			return err == nil && holds(f, e)
		}
		if err != nil || e.Overlaps(n) && !slices.ContainsFunc(narrowExcept, excepted) {
			return false
		}
	}
	return true
}

func holds(wide, narrow netip.Prefix) bool {
	return wide.Bits() <= narrow.Bits() && wide.Contains(narrow.Addr())
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
