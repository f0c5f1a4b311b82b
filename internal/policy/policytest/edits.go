package policytest

import (
	"maps"
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// Edit returns copies of NetworkPolicies with edits that a person may make, and the names of the edits.
func (r Draw) Edit(policies []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, []string) {
	policies = Clone(policies)
	var done []string
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), Pick(r, policy.Directions...)
		p := policies[i]
		rules := rulesOf(p, d)
		ofRules := map[string]func(){
			"every port": func() { rules[0].Ports = nil },
			"every peer": func() { rules[0].To = []networkingv1.NetworkPolicyPeer{} },
			"a range":    func() { end := int32(65535); rules[0].Ports[0].EndPort = &end },
			"no rule":    func() { rules = rules[1:] },
			"twice":      func() { rules = append(rules, rules[0]) },
			"join rules": func() { rules[0].To = slices.Concat(rules[0].To, rules[len(rules)-1].To) },
		}
		edits := map[string]func(){
			"reorder":  func() { slices.Reverse(rules) },
			"all pods": func() { p.Spec.PodSelector = metav1.LabelSelector{} },
			"other pods": func() {
				p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
			},
			"no types": func() { p.Spec.PolicyTypes = nil },
			"ingress only": func() {
				p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			},
			"renamed":         func() { p.Name = "by-hand-" + strconv.Itoa(i) },
			"no policy":       func() { policies = slices.Delete(policies, i, i+1) },
			"everything":      func() { rules = append(rules, networkingv1.NetworkPolicyEgressRule{}) },
			"other namespace": func() { p.Namespace = "prod" },
			"no namespace": func() {
				taken := slices.ContainsFunc(policies, func(q *networkingv1.NetworkPolicy) bool {
					return q.Name == p.Name && q.Namespace == ""
				})
				if !taken {
					p.Namespace = ""
				}
			},
		}
		maps.Copy(edits, ofRules)
		edit := Pick(r, slices.Sorted(maps.Keys(edits))...)
		if _, needsRule := ofRules[edit]; needsRule && len(rules) == 0 {
			continue
		}
		if edit == "a range" && (len(rules[0].Ports) == 0 || rules[0].Ports[0].Port.IntVal == 0) {
			continue
		}
		edits[edit]()
		setRules(p, d, rules)
		done = append(done, p.Name+" "+d.String()+": "+edit)
	}
	return policies, done
}

// rulesOf returns the rules of a policy in a direction, those for ingress as rules for egress.
func rulesOf(p *networkingv1.NetworkPolicy, d policy.Direction) []networkingv1.NetworkPolicyEgressRule {
	if d == policy.Egress {
		return p.Spec.Egress
	}
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, rule := range p.Spec.Ingress {
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: rule.From, Ports: rule.Ports})
	}
	return rules
}

// setRules sets rules that [rulesOf] returned.
func setRules(p *networkingv1.NetworkPolicy, d policy.Direction, rules []networkingv1.NetworkPolicyEgressRule) {
	if d == policy.Egress {
		p.Spec.Egress = slices.Concat(rules) // nil if there are none
		return
	}
	p.Spec.Ingress = nil
	for _, rule := range rules {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: rule.To, Ports: rule.Ports})
	}
}
