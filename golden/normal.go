package golden

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// same reports whether two policies are equivalent: lists that Kubernetes reads as sets are compared as sets, and
// defaults count as written. Two policies that are not the same may still allow the same flows.
func same(a, b metav1.Object) bool {
	return bytes.Equal(encode(normal(a)), encode(normal(b)))
}

// normal returns the one form of all policies that are the same.
func normal(p metav1.Object) metav1.Object { return dialectOf(p).normal(plain(p)) }

func normalKubernetes(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
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
	return p
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

func normalSelector(s *metav1.LabelSelector) {
	if s == nil {
		return
	}
	for i := range s.MatchExpressions {
		s.MatchExpressions[i].Values = set(s.MatchExpressions[i].Values)
	}
	s.MatchExpressions = set(s.MatchExpressions)
}

// set sorts values by their JSON and drops repeated ones. An empty list becomes nil, which YAML leaves out.
func set[T any](values []T) []T {
	type keyed struct {
		key   string
		value T
	}
	var all []keyed
	for _, v := range values {
		all = append(all, keyed{string(encode(v)), v})
	}
	slices.SortFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b keyed) bool { return a.key == b.key })
	var sorted []T
	for _, k := range all {
		sorted = append(sorted, k.value)
	}
	return sorted
}

// encode returns a Kubernetes value as JSON, map keys sorted.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are plain values: no channels, functions or cycles
	}
	return text
}
