package policy_test

import (
	"maps"
	"slices"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// editAll returns a scope's policies with edits that a person may make, and the names of the edits.
func (r draw) editAll(policies []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, []string) {
	policies = clone(policies)
	var done []string
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), pick(r, policy.Directions...)
		p := policies[i]
		rules := networkpolicy.RulesOf(p, d)
		edits := map[string]func(){
			"reorder":         func() { slices.Reverse(rules) },
			"every port":      func() { rules[0].Ports = nil },
			"every peer":      func() { rules[0].Peers = []networkingv1.NetworkPolicyPeer{} },
			"a range":         func() { end := int32(65535); rules[0].Ports[0].EndPort = &end },
			"no rule":         func() { rules = rules[1:] },
			"twice":           func() { rules = append(rules, rules[0]) },
			"join rules":      func() { rules[0].Peers = slices.Concat(rules[0].Peers, rules[len(rules)-1].Peers) },
			"all pods":        func() { p.Spec.PodSelector = metav1.LabelSelector{} },
			"other pods":      func() { p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}} },
			"no types":        func() { p.Spec.PolicyTypes = nil },
			"ingress only":    func() { p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress} },
			"renamed":         func() { p.Name = "by-hand-" + strconv.Itoa(i) },
			"no policy":       func() { policies = slices.Delete(policies, i, i+1) },
			"everything":      func() { rules = append(rules, networkpolicy.Rule{}) },
			"other namespace": func() { p.Namespace = "prod" },
			"no namespace": func() {
				taken := slices.ContainsFunc(policies, func(q *networkingv1.NetworkPolicy) bool { return q.Name == p.Name && q.Namespace == "" })
				if !taken {
					p.Namespace = ""
				}
			},
		}
		edit := pick(r, slices.Sorted(maps.Keys(edits))...)
		if len(rules) == 0 && slices.Contains([]string{"every port", "every peer", "a range", "no rule", "twice", "join rules"}, edit) ||
			edit == "a range" && (len(rules[0].Ports) == 0 || rules[0].Ports[0].Port.IntVal == 0) {
			continue
		}
		edits[edit]()
		networkpolicy.SetRules(p, d, rules)
		done = append(done, p.Name+" "+d.String()+": "+edit)
	}
	return policies, done
}
