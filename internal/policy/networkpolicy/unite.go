package networkpolicy

import (
	"cmp"
	"errors"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unite returns the union of sets of policies: one policy for each namespace and name, which allows what any of them
// allows and isolates where any of them does. The result does not depend on the order of the sets or of their
// contents. The union of the policies generated from several runs equals the policies generated from the flows of all
// runs.
//
// Each list of peers has one rule, without parts that another rule or part allows. [policy.NamesAnnotation] holds the
// names of all parts. If one part opens the internet without such a list, it checks no name, and so the union has no
// list. [policy.BinariesAnnotation] and [policy.KafkaAnnotation] follow the same rule. [policy.RequestsAnnotation] limits
// a peer and port only if each part that opens the port does, so that the union of generated policies may have fewer
// entries than the policies of all runs. Policies of one name are an error if they select different
// pods, are in different namespaces in different sets, or have different values for a label or annotation.
func Unite(sets ...[]*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	groups, err := policy.GroupByName(sets)
	if err != nil {
		return nil, err
	}
	var united []*networkingv1.NetworkPolicy
	var errs []error
	for _, group := range groups {
		for i, q := range group {
			group[i] = inForce(q)
		}
		p := group[0].DeepCopy()
		for _, q := range group[1:] {
			q = q.DeepCopy()
			if !equality.Semantic.DeepEqual(
				policy.SortedSelector(p.Spec.PodSelector), policy.SortedSelector(q.Spec.PodSelector),
			) {
				errs = append(
					errs,
					policy.SelectorConflict(
						p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), metav1.FormatLabelSelector(&q.Spec.PodSelector),
					),
				)
			}
			p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, q.Spec.PolicyTypes...)
			p.Spec.Egress = append(p.Spec.Egress, q.Spec.Egress...)
			p.Spec.Ingress = append(p.Spec.Ingress, q.Spec.Ingress...)
		}
		metas := make([]*metav1.ObjectMeta, len(group))
		for i, q := range group {
			metas[i] = &q.ObjectMeta
		}
		meta, err := policy.UniteMetadata(metas)
		if err != nil {
			errs = append(errs, err)
		}
		p.ObjectMeta = meta
		if slices.ContainsFunc(group, checksNoName) {
			delete(p.Annotations, policy.NamesAnnotation)
		}
		uniteEverywhere(p, group)
		policy.UniteRequests(p, group, opens)
		slices.Sort(p.Spec.PolicyTypes)
		p.Spec.PolicyTypes = slices.Compact(p.Spec.PolicyTypes)
		for _, d := range policy.Directions {
			annotated := gatesNames(p)
			SetRules(p, d, uniteRules(RulesOf(p, d), policy.Workload{Namespace: p.Namespace}, d, annotated &&
				d == policy.Egress, reservationsOf(p, d)))
		}
		v := applicable{
			NetworkPolicy: p, direction: policy.Egress, rules: RulesOf(p, policy.Egress),
			namespace: cmp.Or(p.Namespace, policy.DefaultNamespace),
			annotated: gatesNames(p), names: policy.ListedNames(p).All, reserved: reservationsOf(p, policy.Egress),
		}
		policy.UniteLookups(p, v.hasBlock(), v.allowsLookup)
		united = append(united, p)
	}
	return united, errors.Join(errs...)
}

// hasBlock reports whether a rule has a range of addresses, which the list of names restricts.
func (v applicable) hasBlock() bool {
	return slices.ContainsFunc(v.rules, func(r Rule) bool {
		return slices.ContainsFunc(r.Peers, func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil })
	})
}

func (v applicable) allowsLookup(f flow.Flow) bool {
	return slices.ContainsFunc(v.rules, func(r Rule) bool {
		for peer, port := range r.pairs() {
			if v.match(peer, port, f).Allows() {
				return true
			}
		}
		return false
	})
}

// inForce returns a copy of a policy with explicit types, and without the rules and lists of directions that are not
// among its types, which would take effect in a union.
func inForce(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p = p.DeepCopy()
	writeTypes(p)
	for _, d := range policy.Directions {
		if !HasType(p, d) {
			SetRules(p, d, nil)
			for _, annotation := range policy.ReservationAnnotations(d) {
				delete(p.Annotations, annotation)
			}
			if d == policy.Egress {
				delete(p.Annotations, policy.NamesAnnotation)
				delete(p.Annotations, policy.OtherAnnotation)
				delete(p.Annotations, policy.RequestsAnnotation)
				delete(p.Annotations, policy.KafkaAnnotation)
			}
		}
	}
	return p
}

// checksNoName reports whether a policy opens the internet to any name.
func checksNoName(p *networkingv1.NetworkPolicy) bool {
	return !gatesNames(p) && slices.ContainsFunc(RulesOf(p, policy.Egress), func(r Rule) bool {
		return slices.ContainsFunc(elements(r.Peers), isInternet)
	})
}
