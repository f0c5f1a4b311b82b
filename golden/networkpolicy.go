package golden

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// networkPolicies implements the dialect [Kubernetes].
var networkPolicies = &typed[networkingv1.NetworkPolicy, *networkingv1.NetworkPolicy]{
	version: "networking.k8s.io/v1", kind: Kubernetes,
	meta: func(p *networkingv1.NetworkPolicy) (*metav1.TypeMeta, *metav1.ObjectMeta) {
		return &p.TypeMeta, &p.ObjectMeta
	},
	checkObject:   func(object map[string]any) *InvalidError { return checkValues(object["spec"], "spec") },
	unknownField:  InvalidError{Problem: "unknown field", Advice: "correct or remove it"},
	validate:      networkpolicy.Validate,
	normalizeSpec: normalizeNetworkPolicy,
	merge:         networkpolicy.Unite,
}

func normalizeNetworkPolicy(p *networkingv1.NetworkPolicy) {
	s := &p.Spec
	if len(s.PolicyTypes) == 0 {
		s.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	normalSelector(&s.PodSelector)
	for i := range s.Ingress {
		s.Ingress[i].Ports = normalPorts(s.Ingress[i].Ports)
		s.Ingress[i].From = normalPeers(s.Ingress[i].From)
	}
	for i := range s.Egress {
		s.Egress[i].Ports = normalPorts(s.Egress[i].Ports)
		s.Egress[i].To = normalPeers(s.Egress[i].To)
	}
	s.Ingress, s.Egress, s.PolicyTypes = set(s.Ingress), set(s.Egress), set(s.PolicyTypes)
}

func normalPorts(ports []networkingv1.NetworkPolicyPort) []networkingv1.NetworkPolicyPort {
	for i := range ports {
		if ports[i].Protocol == nil {
			tcp := corev1.ProtocolTCP
			ports[i].Protocol = &tcp
		}
		if p := &ports[i]; p.EndPort != nil && p.Port != nil && p.Port.StrVal == "" && *p.EndPort == p.Port.IntVal {
			p.EndPort = nil // a range of one port
		}
	}
	return set(ports)
}

func normalPeers(peers []networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyPeer {
	for _, p := range peers {
		normalSelector(p.PodSelector)
		normalSelector(p.NamespaceSelector)
		if p.IPBlock != nil {
			p.IPBlock.Except = set(p.IPBlock.Except)
		}
	}
	return set(peers)
}
