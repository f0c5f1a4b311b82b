package networkpolicy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// policyTypeOf returns the type of the policies that isolate in a direction.
func policyTypeOf(d policy.Direction) networkingv1.PolicyType {
	if d == policy.Ingress {
		return networkingv1.PolicyTypeIngress
	}
	return networkingv1.PolicyTypeEgress
}

// HasType reports whether a policy has the type of a direction. As in Kubernetes, a policy without policyTypes has
// the type Ingress, and also the type Egress if it has egress rules.
func HasType(p *networkingv1.NetworkPolicy, d policy.Direction) bool {
	if len(p.Spec.PolicyTypes) == 0 {
		return d == policy.Ingress || len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, policyTypeOf(d))
}

// writeTypes writes the types that Kubernetes assumes into a policy without policyTypes.
func writeTypes(p *networkingv1.NetworkPolicy) {
	if len(p.Spec.PolicyTypes) > 0 {
		return
	}
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(p.Spec.Egress) > 0 {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}

// Rule is a rule of either direction. In Kubernetes the two differ only in the name of one field.
type Rule struct {
	Peers []networkingv1.NetworkPolicyPeer // none means everywhere
	Ports []networkingv1.NetworkPolicyPort // none means every port
}

// RulesOf returns a policy's rules of a direction. Their peers and ports are not copies but the policy's own.
func RulesOf(p *networkingv1.NetworkPolicy, d policy.Direction) []Rule {
	if d == policy.Ingress {
		rules := slices.Grow([]Rule(nil), len(p.Spec.Ingress))
		for _, r := range p.Spec.Ingress {
			rules = append(rules, Rule{r.From, r.Ports})
		}
		return rules
	}
	rules := slices.Grow([]Rule(nil), len(p.Spec.Egress))
	for _, r := range p.Spec.Egress {
		rules = append(rules, Rule{r.To, r.Ports})
	}
	return rules
}

// SetRules replaces the rules of a policy in a direction.
func SetRules(p *networkingv1.NetworkPolicy, d policy.Direction, rules []Rule) {
	if d == policy.Ingress {
		p.Spec.Ingress = slices.Grow([]networkingv1.NetworkPolicyIngressRule(nil), len(rules))
		for _, r := range rules {
			p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.Peers, Ports: r.Ports})
		}
		return
	}
	p.Spec.Egress = slices.Grow([]networkingv1.NetworkPolicyEgressRule(nil), len(rules))
	for _, r := range rules {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.Peers, Ports: r.Ports})
	}
}
