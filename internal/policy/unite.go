package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unite returns the union of sets of policies: one policy to a namespace and name, which allows what any of them allows,
// and isolates where any does. The result does not depend on the order of the sets, nor on that of anything in them: what
// is generated from the flows of several runs is what their policies unite to.
//
// There is one rule to a list of peers, and nothing in it that another rule or part of it allows. The names of
// [NamesAnnotation] are united, unless a policy that opens the internet has no such list: there no name is checked, and
// so none is in the union; and so are the programs of [BinariesAnnotation], unless a policy has no list of them. Policies
// of one name that select other pods, are in another namespace in another set, or have another value for a label or
// annotation are an error.
func Unite(sets ...[]*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	groups, err := sameNames(sets)
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
			if !equality.Semantic.DeepEqual(sortedSelector(p.Spec.PodSelector), sortedSelector(q.Spec.PodSelector)) {
				errs = append(errs, otherPods(p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), metav1.FormatLabelSelector(&q.Spec.PodSelector)))
			}
			p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, q.Spec.PolicyTypes...)
			p.Spec.Egress = append(p.Spec.Egress, q.Spec.Egress...)
			p.Spec.Ingress = append(p.Spec.Ingress, q.Spec.Ingress...)
		}
		metas := make([]*metav1.ObjectMeta, len(group))
		for i, q := range group {
			metas[i] = &q.ObjectMeta
		}
		meta, err := uniteMetadata(metas)
		if err != nil {
			errs = append(errs, err)
		}
		p.ObjectMeta = meta
		if slices.ContainsFunc(group, checksNoName) {
			delete(p.Annotations, NamesAnnotation)
		}
		uniteEverywhere(p, group)
		slices.Sort(p.Spec.PolicyTypes)
		p.Spec.PolicyTypes = slices.Compact(p.Spec.PolicyTypes)
		for _, d := range directions {
			annotated := gatesNames(p)
			setRules(p, d, uniteRules(rulesOf(p, d), Workload{Namespace: p.Namespace}, d, annotated && d == egress, reservationsOf(p, d)))
		}
		v := view{NetworkPolicy: p, direction: egress, rules: rulesOf(p, egress), namespace: cmp.Or(p.Namespace, defaultNamespace), annotated: gatesNames(p), names: listedNames(p).all, reserved: reservationsOf(p, egress)}
		uniteLookups(p, v.hasBlock(), v.allowsLookup)
		united = append(united, p)
	}
	return united, errors.Join(errs...)
}

// hasBlock reports whether a rule is for addresses, which the list of names gates.
func (v view) hasBlock() bool {
	return slices.ContainsFunc(v.rules, func(r rule) bool {
		return slices.ContainsFunc(r.peers, func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil })
	})
}

func (v view) allowsLookup(f flow.Flow) bool {
	return slices.ContainsFunc(v.rules, func(r rule) bool {
		for peer, port := range r.pairs() {
			if v.match(peer, port, f).allows() {
				return true
			}
		}
		return false
	})
}

// isList reports whether an annotation is a list, whose union holds the entries of all parts.
func isList(annotation string) bool {
	return slices.Contains([]string{NamesAnnotation, MetadataAnnotation, BinariesAnnotation, OtherAnnotation, OtherIngressAnnotation,
		APIServerAnnotation, HostNetworkAnnotation, HostNetworkIngressAnnotation}, annotation)
}

// inForce returns a copy of a policy with its types, and without the rules and lists of other directions than these: in a
// union they would be in force.
func inForce(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p = p.DeepCopy()
	writeTypes(p)
	for _, d := range directions {
		if !hasType(p, d) {
			setRules(p, d, nil)
			for _, annotation := range everywhereAnnotations(d) {
				delete(p.Annotations, annotation)
			}
			if d == egress {
				delete(p.Annotations, NamesAnnotation)
				delete(p.Annotations, OtherAnnotation)
			}
		}
	}
	return p
}

// checksNoName reports whether a policy opens the internet to whichever name.
func checksNoName(p *networkingv1.NetworkPolicy) bool {
	return !gatesNames(p) && slices.ContainsFunc(rulesOf(p, egress), func(r rule) bool {
		return slices.ContainsFunc(elements(r.peers), isInternet)
	})
}

// sameNames returns the policies of each namespace and name, in the order of these.
func sameNames[P metav1.Object](sets [][]P) ([][]P, error) {
	var all []P
	var errs []error
	namespaces := make(map[string]string)
	for _, set := range sets {
		for _, p := range set {
			all = append(all, p)
			elsewhere := slices.ContainsFunc(set, func(q P) bool { return q.GetName() == p.GetName() && q.GetNamespace() != p.GetNamespace() })
			if before, seen := namespaces[p.GetName()]; seen && before != p.GetNamespace() && !elsewhere {
				errs = append(errs, fmt.Errorf("policy %s is in %s and in %s: give them one namespace, or two names",
					p.GetName(), describeNamespace(before), describeNamespace(p.GetNamespace())))
			}
			if !elsewhere {
				namespaces[p.GetName()] = p.GetNamespace()
			}
		}
	}
	compare := func(p, q P) int {
		return cmp.Or(cmp.Compare(p.GetNamespace(), q.GetNamespace()), cmp.Compare(p.GetName(), q.GetName()))
	}
	slices.SortStableFunc(all, compare)
	var groups [][]P
	for i, p := range all {
		if i == 0 || compare(all[i-1], p) != 0 {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], p)
	}
	return groups, errors.Join(errs...)
}

func describeNamespace(name string) string {
	if name == "" {
		return "no namespace"
	}
	return "namespace " + name
}

func otherPods(name, a, b string) error {
	return fmt.Errorf("policy %s selects %s and %s: pods with other labels are another workload, give it another name", name, a, b)
}

// uniteMetadata returns the metadata of a union, whose lists of names hold those of all.
func uniteMetadata(metas []*metav1.ObjectMeta) (metav1.ObjectMeta, error) {
	united := metav1.ObjectMeta{Name: metas[0].Name, Namespace: metas[0].Namespace}
	var errs []error
	add := func(what, key, value string, to *map[string]string) {
		old, has := (*to)[key]
		switch {
		case !has:
			if *to == nil {
				*to = make(map[string]string)
			}
			(*to)[key] = value
		case old != value:
			errs = append(errs, fmt.Errorf("policy %s has the %s %s with %q and with %q: keep one", united.Name, what, key, old, value))
		}
	}
	lists := make(map[string][]string)
	for _, m := range metas {
		for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
			add("label", key, m.Labels[key], &united.Labels)
		}
		for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
			if isList(key) {
				lists[key] = append(lists[key], entriesOf(m, key)...)
				continue
			}
			add("annotation", key, m.Annotations[key], &united.Annotations)
		}
	}
	for key, entries := range lists {
		slices.Sort(entries)
		metav1.SetMetaDataAnnotation(&united, key, strings.Join(slices.Compact(entries), ","))
	}
	uniteBinaries(&united, metas)
	return united, errors.Join(errs...)
}

// sortedSelector returns a selector in the one form of all that say the same.
func sortedSelector(s metav1.LabelSelector) metav1.LabelSelector {
	s = *s.DeepCopy()
	for i := range s.MatchExpressions {
		slices.Sort(s.MatchExpressions[i].Values)
	}
	slices.SortFunc(s.MatchExpressions, func(a, b metav1.LabelSelectorRequirement) int { return cmp.Compare(a.String(), b.String()) })
	return s
}
