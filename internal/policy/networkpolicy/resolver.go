package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resolverPeer returns the peer key of a resolver. For [policy.DefaultResolver] it is only the kind.
func resolverPeer(r policy.Resolver) peerKey {
	switch {
	case r.Equal(policy.DefaultResolver):
		return peerKey{kind: flow.Resolver}
	case r.Addresses.IsValid():
		return peerKey{kind: flow.Resolver, addr: r.Addresses.Addr(), bits: r.Addresses.Bits()}
	}
	return peerKey{kind: flow.Resolver, namespace: r.Namespace, labels: labels.Set(r.Labels).String()}
}

func (d Dialect) classifyPort(port *networkingv1.NetworkPolicyPort, queried uint16) policy.DNSPorts {
	switch {
	case port == nil || port.Port == nil:
		return policy.IncludesDNS
	case port.Port.Type == intstr.String:
		if policy.IsDNSName(port.Port.StrVal) {
			return policy.IncludesDNS
		}
		return policy.NoDNS
	case port.EndPort != nil:
		return d.ClassifyPorts(port.Port.IntVal, *port.EndPort, queried)
	}
	return d.ClassifyPorts(port.Port.IntVal, port.Port.IntVal, queried)
}

// maySelect reports whether a namespace selector may match a namespace. Only the name of a namespace that no manifest
// has is known; other required labels may match.
func (d Dialect) maySelect(selector *metav1.LabelSelector, namespace string) bool {
	if _, known := d.Namespaces[namespace]; known {
		return policy.Selects(selector, d.NamespaceLabels(namespace))
	}
	byName := &metav1.LabelSelector{}
	for key, value := range selector.MatchLabels {
		if key == policy.NamespaceLabel {
			metav1.AddLabelToSelector(byName, key, value)
		}
	}
	for _, e := range selector.MatchExpressions {
		if e.Key == policy.NamespaceLabel {
			byName.MatchExpressions = append(byName.MatchExpressions, e)
		}
	}
	return policy.Selects(byName, d.NamespaceLabels(namespace))
}

// isNoResolver reports whether a peer cannot be a place of the resolver at any port: all pods of the policy's own
// namespace if the resolver is in another, and addresses that never leave the pod, such as Docker's 127.0.0.11.
func (v applicable) isNoResolver(peer *networkingv1.NetworkPolicyPeer, e flow.Endpoint) bool {
	if peer.IPBlock != nil {
		return policy.IsLoopbackRange(peer.IPBlock.CIDR)
	}
	return peer.NamespaceSelector == nil && policy.IsEmpty(peer.PodSelector) &&
		v.scope.ResolverOf(e).IsElsewhere(v.namespace)
}
