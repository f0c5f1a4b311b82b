package ciliumpolicy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unite returns the union of sets of policies, as the function of package networkpolicy does. The union has one list of
// lookups for each port, and the deny rules of every policy. It writes ranges without exceptions in the form that
// allows exceptions.
func Unite(sets ...[]*cilium.NetworkPolicy) ([]*cilium.NetworkPolicy, error) {
	groups, err := policy.GroupByName(sets)
	if err != nil {
		return nil, err
	}
	var united Policies
	var errs []error
	for _, group := range groups {
		if !slices.ContainsFunc(group, func(p *cilium.NetworkPolicy) bool { return len(p.Specs) > 0 }) {
			p, err := uniteGroup(group)
			united, errs = append(united, p), append(errs, err)
			continue
		}
		var parts Policies
		for _, same := range bySelector(partsOf(group)) {
			p, err := uniteGroup(same)
			parts, errs = append(parts, p), append(errs, err)
		}
		metas := make([]*metav1.ObjectMeta, len(group))
		for i, p := range group {
			metas[i] = &p.DeepCopy().ObjectMeta
		}
		of := &cilium.NetworkPolicy{TypeMeta: group[0].TypeMeta}
		of.ObjectMeta, err = policy.UniteMetadata(metas)
		errs = append(errs, err)
		whole := joinParts(of, parts)
		whole.Annotations = of.Annotations
		united = append(united, whole)
	}
	return united, errors.Join(errs...)
}

// bySelector groups the parts of policies of one name by the pods that they select, sorted by selector.
func bySelector(parts Policies) []Policies {
	groups := make(map[string]Policies)
	for _, p := range parts {
		key := policy.EncodeJSON(policy.SortedSelector(*plainSelector(&p.Spec.EndpointSelector)))
		groups[key] = append(groups[key], p)
	}
	var sorted []Policies
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		sorted = append(sorted, groups[key])
	}
	return sorted
}

// uniteGroup returns the union of policies of one name, each with one spec.
func uniteGroup(group Policies) (*cilium.NetworkPolicy, error) {
	var errs []error
	p := group[0].DeepCopy()
	metas := []*metav1.ObjectMeta{&group[0].ObjectMeta}
	for _, q := range group[1:] {
		q = q.DeepCopy()
		metas = append(metas, &q.ObjectMeta)
		a := policy.SortedSelector(*plainSelector(&p.Spec.EndpointSelector))
		b := policy.SortedSelector(*plainSelector(&q.Spec.EndpointSelector))
		if !equality.Semantic.DeepEqual(a, b) {
			errs = append(
				errs,
				policy.SelectorConflict(p.Name, describeSourced(p.Spec.EndpointSelector), describeSourced(q.Spec.EndpointSelector)),
			)
		}
		if p.Spec.Description != "" && q.Spec.Description != "" && p.Spec.Description != q.Spec.Description {
			errs = append(
				errs,
				fmt.Errorf("policy %s has the description %q and %q: keep one", p.Name, p.Spec.Description, q.Spec.Description),
			)
		}
		p.Spec.Description = cmp.Or(p.Spec.Description, q.Spec.Description)
		p.Spec.Egress = append(p.Spec.Egress, q.Spec.Egress...)
		p.Spec.EgressDeny = append(p.Spec.EgressDeny, q.Spec.EgressDeny...)
		p.Spec.Ingress = append(p.Spec.Ingress, q.Spec.Ingress...)
		p.Spec.IngressDeny = append(p.Spec.IngressDeny, q.Spec.IngressDeny...)
	}
	p.Spec.EnableDefaultDeny = uniteDefaultDeny(group)
	var err error
	if p.ObjectMeta, err = policy.UniteMetadata(metas); err != nil {
		errs = append(errs, err)
	}
	for _, d := range policy.Directions {
		if rules := RulesOf(p, d); len(rules) > 0 {
			SetRules(p, d, uniteRules(rules, policy.Workload{Namespace: p.Namespace}, d))
		}
		if rules := DenyRulesOf(p, d); len(rules) > 0 {
			SetDenyRules(p, d, uniteRules(rules, policy.Workload{Namespace: p.Namespace}, d))
		}
	}
	v := applicable{
		NetworkPolicy: p, direction: policy.Egress, rules: RulesOf(p, policy.Egress),
		namespace: cmp.Or(p.Namespace, policy.DefaultNamespace),
	}
	policy.UniteLookups(p, false, v.allowsLookup)
	return p, errors.Join(errs...)
}

func (v applicable) allowsLookup(f flow.Flow) bool {
	return slices.ContainsFunc(v.rules, func(r Rule) bool {
		for peer, port := range r.pairs() {
			if v.match(r, peer, port, f).Allows() {
				return true
			}
		}
		return false
	})
}

// uniteDefaultDeny returns the default-deny setting of a union. It turns the default off for a direction if policies
// have rules of that direction and none of them denies by default.
func uniteDefaultDeny(policies Policies) *cilium.DefaultDeny {
	open := func(d policy.Direction) *bool {
		var is *bool
		for _, p := range policies {
			if len(RulesOf(p, d))+len(DenyRulesOf(p, d)) == 0 {
				continue
			}
			if DeniesByDefault(p, d) {
				return nil
			}
			is = new(bool)
		}
		return is
	}
	united := (cilium.DefaultDeny{Ingress: open(policy.Ingress), Egress: open(policy.Egress)})
	if united != (cilium.DefaultDeny{}) {
		return &united
	}
	return nil
}

// uniteRules returns the union of rules. An empty rule stays only if it is the only one.
func uniteRules(rules []Rule, subject policy.Workload, d policy.Direction) []Rule {
	for {
		united := minimal(uniteByPeers(rules, subject, d), d)
		if encodeRules(united) == encodeRules(rules) {
			break
		}
		rules = united
	}
	if len(rules) == 0 {
		return []Rule{{}}
	}
	return whole(rules)
}

func encodeRules(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(r.key() + policy.EncodeJSON(r.Ports) + policy.EncodeJSON(r.Icmps))
	}
	return b.String()
}

// uniteByPeers returns one rule for each list of peers and each kind of part.
func uniteByPeers(rules []Rule, subject policy.Workload, d policy.Direction) []Rule {
	var united []Rule
	byPeers := make(map[string]int)
	for _, r := range rules {
		if r.isEmpty() {
			continue
		}
		for _, part := range r.parts() {
			key := part.key()
			if i, seen := byPeers[key]; seen {
				united[i].join(part)
				continue
			}
			byPeers[key] = len(united)
			united = append(united, part)
		}
	}
	e := edit{merging: &merging{}, subject: subject, direction: d}
	slices.SortFunc(united, func(a, b Rule) int {
		k, generated := e.permissionOfRule(a)
		l, too := e.permissionOfRule(b)
		switch {
		case generated && too:
			return cmp.Or(k.compare(l), cmp.Compare(a.key(), b.key()))
		case generated:
			return -1
		case too:
			return 1
		}
		return cmp.Compare(a.key(), b.key())
	})
	return united
}
