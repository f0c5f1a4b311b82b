package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// direction is the way of a flow as the pods see it that a policy selects.
type direction uint8

const (
	egress direction = iota
	ingress
)

var directions = []direction{egress, ingress}

// String returns the direction in lower case.
func (d direction) String() string {
	if d == ingress {
		return "ingress"
	}
	return "egress"
}

func (d direction) policyType() networkingv1.PolicyType {
	if d == ingress {
		return networkingv1.PolicyTypeIngress
	}
	return networkingv1.PolicyTypeEgress
}

// near returns the end of a flow that a policy of this direction selects.
func (d direction) near(f flow.Flow) flow.Endpoint {
	if d == ingress {
		return f.Destination
	}
	return f.Source
}

// far returns the end of a flow that the peers of its rules name.
func (d direction) far(f flow.Flow) flow.Endpoint {
	if d == ingress {
		return f.Source
	}
	return f.Destination
}

// hasType reports whether a policy is of a direction's type. As in Kubernetes, one without policyTypes has the type
// Ingress, and the type Egress if it has egress rules.
func hasType(p *networkingv1.NetworkPolicy, d direction) bool {
	if len(p.Spec.PolicyTypes) == 0 {
		return d == ingress || len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, d.policyType())
}

// writeTypes gives a policy without policyTypes those that Kubernetes takes it to have.
func writeTypes(p *networkingv1.NetworkPolicy) {
	if len(p.Spec.PolicyTypes) > 0 {
		return
	}
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(p.Spec.Egress) > 0 {
		p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}

// rule is a rule of either direction: in Kubernetes they differ in the name of one field.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer // none is everywhere
	ports []networkingv1.NetworkPolicyPort // none is every port
}

// rulesOf returns a policy's rules of a direction. Their peers and ports are the policy's own, not copies.
func rulesOf(p *networkingv1.NetworkPolicy, d direction) []rule {
	var rules []rule
	if d == ingress {
		for _, r := range p.Spec.Ingress {
			rules = append(rules, rule{r.From, r.Ports})
		}
		return rules
	}
	for _, r := range p.Spec.Egress {
		rules = append(rules, rule{r.To, r.Ports})
	}
	return rules
}

func setRules(p *networkingv1.NetworkPolicy, d direction, rules []rule) {
	if d == ingress {
		p.Spec.Ingress = nil
		for _, r := range rules {
			p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports})
		}
		return
	}
	p.Spec.Egress = nil
	for _, r := range rules {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports})
	}
}
