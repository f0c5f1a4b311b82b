package check

import (
	"cmp"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// podsNamedIn returns workloads that the egress rules of a policy may select: one for each value of a label. Which of
// them a rule does select is for the rule to say.
func podsNamedIn(p golden.Policy) (all []flow.Endpoint) {
	for _, selector := range podSelectorsOf(p) {
		for key, value := range selector {
			if key != policy.NamespaceLabel {
				namespace := cmp.Or(selector[policy.NamespaceLabel], p.GetNamespace())
				all = append(all, flow.Endpoint{Kind: flow.Workload, Name: value, Namespace: namespace})
			}
		}
	}
	return all
}

// podSelectorsOf returns the labels that the egress rules of a policy require of pods, and as
// [policy.NamespaceLabel] the name of their namespace.
func podSelectorsOf(p golden.Policy) (all []map[string]string) {
	switch p := p.(type) {
	case *networkingv1.NetworkPolicy:
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				all = append(all, podSelectorOf(to))
			}
		}
	case *golden.CiliumNetworkPolicy:
		for _, part := range cilium.Parts(p) {
			for _, rule := range part.Spec.Egress {
				for _, to := range rule.ToEndpoints {
					all = append(all, endpointSelectorOf(to))
				}
			}
		}
	}
	return all
}

// podSelectorOf returns the labels of a NetworkPolicy's peer.
func podSelectorOf(to networkingv1.NetworkPolicyPeer) map[string]string {
	all := make(map[string]string)
	if to.PodSelector != nil {
		for key, value := range to.PodSelector.MatchLabels {
			all[key] = value
		}
	}
	if to.NamespaceSelector != nil {
		all[policy.NamespaceLabel] = to.NamespaceSelector.MatchLabels[policy.NamespaceLabel]
	}
	return all
}

// endpointSelectorOf returns the labels of a peer of a CiliumNetworkPolicy.
func endpointSelectorOf(to metav1.LabelSelector) map[string]string {
	all := make(map[string]string)
	for key, value := range to.MatchLabels {
		key = strings.TrimPrefix(key, "k8s:")
		if key == "io.kubernetes.pod.namespace" {
			key = policy.NamespaceLabel
		}
		all[key] = value
	}
	return all
}
