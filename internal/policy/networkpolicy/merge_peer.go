package networkpolicy

import (
	"cmp"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// peerOfRule returns the peer for which Generate would write a rule's peers, or false. It accepts an internet with
// more exceptions, or with one half, as the internet, but none with fewer exceptions.
func (e edit) peerOfRule(rule Rule) (peerKey, bool) {
	for _, r := range e.scope.Resolvers {
		if equality.Semantic.DeepEqual(resolverPeer(r).list(), rule.Peers) {
			return resolverPeer(r), true
		}
	}
	notPublic := func(peer networkingv1.NetworkPolicyPeer) bool { return !isInternet(&peer) || !isPublic(peer.IPBlock) }
	switch {
	case len(rule.Peers) == 0:
		if e.policy != nil && e.direction == policy.Egress {
			return peerKey{kind: flow.Anyone}, len(reservedBy(reservationsOf(e.policy, policy.Egress), rule.Ports)) > 0
		}
		return peerKey{kind: flow.Anyone}, true
	case !slices.ContainsFunc(rule.Peers, notPublic):
		return peerKey{kind: flow.External}, true
	case len(rule.Peers) > 1:
		return peerKey{}, false
	}
	peer := rule.Peers[0]
	if block := peer.IPBlock; block != nil {
		prefix, err := netip.ParsePrefix(block.CIDR)
		return peerKey{kind: flow.Address, addr: prefix.Addr()}, err == nil && prefix.IsSingleIP() && len(block.Except) == 0
	}
	candidates := []peerKey{{kind: flow.Resolver}}
	if peer.PodSelector != nil {
		pods := peerKey{kind: flow.Workload, labels: labels.Set(peer.PodSelector.MatchLabels).String()}
		if peer.NamespaceSelector != nil {
			pods.namespace = cmp.Or(peer.NamespaceSelector.MatchLabels[policy.NamespaceLabel], policy.AnyNamespace)
		}
		candidates = append(candidates, pods)
	}
	for _, c := range candidates {
		if !equality.Semantic.DeepEqual(c.list(), rule.Peers) {
			continue
		}
		if c.namespace == e.subject.Namespace {
			c.namespace = "" // a person wrote the default explicitly
		}
		return c, true
	}
	return peerKey{}, false
}

// isPublic reports whether a half of the internet has all the exceptions of the generated one.
func isPublic(half *networkingv1.IPBlock) bool {
	prefix, err := netip.ParsePrefix(half.CIDR)
	if err != nil {
		return false
	}
	for _, private := range flow.NotPublic() {
		if private.Addr().Is4() == prefix.Addr().Is4() && !slices.ContainsFunc(half.Except, func(text string) bool {
			e, err := netip.ParsePrefix(text)
			return err == nil && e.Bits() <= private.Bits() && e.Contains(private.Addr())
		}) {
			return false
		}
	}
	return true
}
