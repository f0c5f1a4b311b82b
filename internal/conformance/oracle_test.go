package conformance

import (
	"net/netip"
	"slices"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cluster is the input of an evaluation: pods and their namespaces.
type cluster struct {
	Namespaces map[string]map[string]string `json:"namespaces,omitempty"` // their labels, except the name
	Pods       []pod                        `json:"pods"`
}

// pod is pods of one kind.
type pod struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"` // empty means default
	Labels    map[string]string `json:"labels,omitempty"`
	Ports     []namedPort       `json:"ports,omitempty"`
}

type namedPort struct {
	Name     string          `json:"name"`
	Number   uint16          `json:"number"`
	Protocol corev1.Protocol `json:"protocol"`
}

// traffic is one flow in a form for both evaluators. An end is a pod of the cluster, or an address.
type traffic struct {
	From     end             `json:"from"`
	To       end             `json:"to"`
	Port     uint16          `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

type end struct {
	Pod     *pod       `json:"pod,omitempty"`
	Name    string     `json:"name,omitempty"` // the name that was looked up
	Address netip.Addr `json:"address,omitzero"`
}

const namespaceLabel = "kubernetes.io/metadata.name"

func namespaceOf(name string) string {
	if name == "" {
		return metav1.NamespaceDefault
	}
	return name
}

// podAddress is the address of all pods for cyclonus. Kubernetes does not define whether a range contains pods. In
// cyclonus it does, so no range in its input contains this address.
const (
	podAddress = "240.0.0.1"
	podRange   = "240.0.0.0/4"
)

// cyclonus is the evaluation of policies by github.com/mattfenwick/cyclonus.
type cyclonus struct{ *matcher.Policy }

// newCyclonus translates policies, for cases in which its matcher differs from Kubernetes' documents or needs an API
// server in front:
//
//   - policyTypes are written, by the API server's rule.
//   - NotIn also matches pods without the label. It becomes two selectors, one for pods without the label and one for
//     the others.
//   - A matchLabels with an empty value matches only pods with that label, like In [""].
//   - Ranges contain no pods.
func newCyclonus(policies []*networkingv1.NetworkPolicy) cyclonus {
	var all []*networkingv1.NetworkPolicy
	for _, p := range policies {
		p = p.DeepCopy()
		if len(p.Spec.PolicyTypes) == 0 {
			p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			}
		}
		for i := range p.Spec.Ingress {
			p.Spec.Ingress[i].From = splitPeers(p.Spec.Ingress[i].From)
		}
		for i := range p.Spec.Egress {
			p.Spec.Egress[i].To = splitPeers(p.Spec.Egress[i].To)
		}
		for _, selector := range split(&p.Spec.PodSelector) {
			q := p.DeepCopy()
			q.Spec.PodSelector = *selector
			all = append(all, q)
		}
	}
	return cyclonus{matcher.BuildNetworkPolicies(false, all)}
}

func splitPeers(peers []networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyPeer {
	var all []networkingv1.NetworkPolicyPeer
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR); err == nil && prefix.Addr().Is4() {
				peer.IPBlock.Except = append(peer.IPBlock.Except, podRange)
			}
			all = append(all, peer)
			continue
		}
		for _, pods := range split(peer.PodSelector) {
			for _, namespaces := range split(peer.NamespaceSelector) {
				all = append(all, networkingv1.NetworkPolicyPeer{PodSelector: pods, NamespaceSelector: namespaces})
			}
		}
	}
	return all
}

// split returns selectors that together match the same pods as one selector.
func split(selector *metav1.LabelSelector) []*metav1.LabelSelector {
	if selector == nil {
		return []*metav1.LabelSelector{nil}
	}
	plain := selector.DeepCopy()
	for key, value := range selector.MatchLabels {
		if value == "" {
			delete(plain.MatchLabels, key)
			plain.MatchExpressions = append(plain.MatchExpressions,
				metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{""}})
		}
	}
	all := []*metav1.LabelSelector{plain}
	for i, e := range plain.MatchExpressions {
		if e.Operator != metav1.LabelSelectorOpNotIn {
			continue
		}
		for _, s := range slices.Clone(all) {
			without := s.DeepCopy()
			without.MatchExpressions[i] = metav1.LabelSelectorRequirement{Key: e.Key,
				Operator: metav1.LabelSelectorOpDoesNotExist}
			all = append(all, without)
		}
	}
	return all
}

// allows returns cyclonus' verdict on one flow.
func (c cyclonus) allows(in cluster, t traffic) bool {
	asked := &matcher.Traffic{Source: in.peer(t.From), Destination: in.peer(t.To), ResolvedPort: int(t.Port),
		Protocol: t.Protocol}
	if t.To.Pod != nil {
		for _, p := range t.To.Pod.Ports {
			if p.Number == t.Port && p.Protocol == t.Protocol {
				asked.ResolvedPortName = p.Name
			}
		}
	}
	return c.IsTrafficAllowed(asked).IsAllowed()
}

func (in cluster) peer(e end) *matcher.TrafficPeer {
	if e.Pod == nil {
		return &matcher.TrafficPeer{IP: e.Address.String()}
	}
	namespace := namespaceOf(e.Pod.Namespace)
	labels := map[string]string{namespaceLabel: namespace}
	for key, value := range in.Namespaces[namespace] {
		labels[key] = value
	}
	return &matcher.TrafficPeer{IP: podAddress, Internal: &matcher.InternalPeer{
		PodLabels: e.Pod.Labels, Namespace: namespace, NamespaceLabels: labels,
	}}
}
