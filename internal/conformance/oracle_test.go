package conformance

import (
	"net/netip"
	"slices"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cluster is all that policies ask about: who is there, and in which namespaces.
type cluster struct {
	Namespaces map[string]map[string]string `json:"namespaces,omitempty"` // their labels, without that of the name
	Pods       []pod                        `json:"pods"`
}

// pod is pods of one kind.
type pod struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"` // empty is default
	Labels    map[string]string `json:"labels,omitempty"`
	Ports     []namedPort       `json:"ports,omitempty"`
}

type namedPort struct {
	Name     string          `json:"name"`
	Number   uint16          `json:"number"`
	Protocol corev1.Protocol `json:"protocol"`
}

// traffic is one flow, as both sides are asked about it. An end is a pod, by its place in the cluster, or an address.
type traffic struct {
	From     end             `json:"from"`
	To       end             `json:"to"`
	Port     uint16          `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

type end struct {
	Pod     *pod       `json:"pod,omitempty"`
	Name    string     `json:"name,omitempty"` // by which the address was asked for
	Address netip.Addr `json:"address,omitzero"`
}

const namespaceLabel = "kubernetes.io/metadata.name"

func namespaceOf(name string) string {
	if name == "" {
		return metav1.NamespaceDefault
	}
	return name
}

// podAddress is where cyclonus finds all pods. Kubernetes leaves it open whether a range holds pods, and to cyclonus it
// does: so no range that it is given holds this address.
const (
	podAddress = "240.0.0.1"
	podRange   = "240.0.0.0/4"
)

// cyclonus is the evaluation of policies by github.com/mattfenwick/cyclonus.
type cyclonus struct{ *matcher.Policy }

// newCyclonus translates policies where its matcher differs from Kubernetes' documents or wants an API server in front:
//
//   - policyTypes are written, by the rule of the API server;
//   - NotIn matches pods without the label too; there it is split into two selectors, one for those and one for the
//     others;
//   - a matchLabels whose value is empty matches pods with that label only, as In [""] does there;
//   - ranges hold no pods.
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

// split returns selectors that together match the same pods as one.
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

// allows asks cyclonus about one flow.
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
