package networkpolicy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// edited returns the policies for flows with edits that a person may make, and the names of the edits.
func edited(
	r policytest.Draw, t *testing.T, subject policy.Workload, flows []flow.Flow,
) ([]*networkingv1.NetworkPolicy, []string) {
	policies := Dialect{alone(subject)}.Generate(flows)
	own := policies[0]
	edits := map[string]func(){
		"reorder": func() {
			list := own.Spec.Egress
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) { slices.Reverse(rule.Ports) })
		},
		"remove a rule": func() {
			if n := len(own.Spec.Egress); n > 0 {
				i := r.IntN(n)
				own.Spec.Egress = slices.Delete(own.Spec.Egress, i, i+1)
			}
		},
		"every port": func() { editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) { rule.Ports = nil }) },
		"no protocol": func() {
			editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) { rule.Ports[0].Protocol = nil })
		},
		"a range of ports": func() {
			editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) {
				last := rule.Ports[0].Port.IntVal + 1
				rule.Ports[0].EndPort = &last
			})
		},
		"split a rule": func() {
			editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) {
				second := *rule.DeepCopy()
				second.Ports, rule.Ports = second.Ports[1:], rule.Ports[:1]
				if len(second.Ports) > 0 {
					own.Spec.Egress = append(own.Spec.Egress, second)
				}
			})
		},
		"join rules": func() {
			if n := len(own.Spec.Egress); n > 1 {
				own.Spec.Egress[0].To = append(own.Spec.Egress[0].To, own.Spec.Egress[n-1].To...)
				own.Spec.Egress = own.Spec.Egress[:n-1]
			}
		},
		"wider rules": func() {
			own.Spec.Egress = append(parse(t, header+policytest.Pick(r,
				"  - {to: [{ipBlock: {cidr: 10.9.0.0/16}}], ports: [{port: 443}]}\n",
				"  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}, {podSelector: {}}]}\n",
				"  - {to: [{podSelector: {matchLabels: {app: cache}}, namespaceSelector: {}}]}\n",
				"  - {ports: [{port: 53}]}\n",
				"  - {to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}\n",
				"  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: web}, {port: 80}]}\n",
			))[0].Spec.Egress, own.Spec.Egress...)
		},
		"less of the internet": func() {
			editRule(r, own, func(rule *networkingv1.NetworkPolicyEgressRule) {
				if block := rule.To[0].IPBlock; block != nil && len(rule.To) > 1 && block.CIDR == "0.0.0.0/0" {
					block.Except = append(block.Except, "198.51.100.0/24")
					rule.To = rule.To[:1+r.IntN(2)]
				}
			})
		},
		"wildcards":   func() { editNames(own, strings.NewReplacer("api.", "*.", "hooks", "hook*").Replace) },
		"spaces":      func() { editNames(own, strings.NewReplacer(",", ", ").Replace) },
		"names more":  func() { editNames(own, func(list string) string { return "z.example:1/TCP," + list }) },
		"no names":    func() { delete(own.Annotations, policy.NamesAnnotation) },
		"empty names": func() { metav1.SetMetaDataAnnotation(&own.ObjectMeta, policy.NamesAnnotation, "") },
		"other labels": func() {
			own.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
		},
		"other type": func() { own.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress} },
		"no types":   func() { own.Spec.PolicyTypes = nil },
		"extra": func() {
			policies = slices.Insert(
				policies, r.IntN(2),
				parse(t, strings.Replace(header, "checkout", "audit", 1)+"  - {to: [{ipBlock: {cidr: 203.0.113.9/32}}]}\n")[0],
			)
			policies[0].Spec.PodSelector = metav1.LabelSelector{}
		},
		"renamed": func() { own.Name = "by-hand" },
		"moved":   func() { own.Namespace = policytest.Pick(r, "", "shop", "prod") },
	}
	var done []string
	for range r.IntN(5) {
		edit := policytest.Pick(r, slices.Sorted(maps.Keys(edits))...)
		if !slices.Contains(done, edit) {
			done = append(done, edit)
			edits[edit]()
		}
	}
	return policies, done
}

// rule edits one rule with ports, if there is one.
func editRule(r policytest.Draw, p *networkingv1.NetworkPolicy, edit func(*networkingv1.NetworkPolicyEgressRule)) {
	if n := len(p.Spec.Egress); n > 0 {
		rule := &p.Spec.Egress[r.IntN(n)]
		if len(rule.To) > 0 && len(rule.Ports) > 0 && rule.Ports[0].Port != nil && rule.Ports[0].Port.IntVal > 0 {
			edit(rule)
		}
	}
}

func editNames(p *networkingv1.NetworkPolicy, edit func(string) string) {
	if list := p.Annotations[policy.NamesAnnotation]; list != "" {
		p.Annotations[policy.NamesAnnotation] = edit(list)
	}
}
