package networkpolicy

import (
	"cmp"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// isolates reports whether any policy isolates the subject in a direction: it selects the subject and has the policy
// type. If none does, the string gives the reason for each policy, in one line.
//
// A policy without a namespace counts as in the subject's, and the reverse.
func isolates(policies []*networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) (bool, string) {
	return policy.Isolated(subject, d, policies, func(p *networkingv1.NetworkPolicy) string {
		return doesNotIsolate(p, subject, d)
	})
}

// doesNotIsolate returns why a policy does not isolate the subject in a direction, or "" if it does.
func doesNotIsolate(p *networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) string {
	if why := doesNotSelect(p, subject); why != "" {
		return why
	}
	if !HasType(p, d) {
		return fmt.Sprintf("policy %s is not of the type %s", p.Name, policyTypeOf(d))
	}
	return ""
}

// doesNotSelect returns why a policy does not select the subject, or "" if it does.
func doesNotSelect(p *networkingv1.NetworkPolicy, subject policy.Workload) string {
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !policy.Selects(&p.Spec.PodSelector, subject.AsSubject().AllLabels()):
		return fmt.Sprintf("policy %s selects %s, the pods have %s",
			p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), subject.AsSubject().AllLabels())
	}
	return ""
}

// applicable is a policy that isolates a subject in a direction, with the context for reading its rules.
type applicable struct {
	*networkingv1.NetworkPolicy
	scope        Dialect
	direction    policy.Direction
	rules        []Rule
	namespace    string // of the policy and the subject, never empty
	subject      policy.Workload
	annotated    bool                 // with NamesAnnotation, even an empty one; never for ingress
	names        []policy.AllowedName // the listed names
	listed       *policy.NameIndex    // index of names; may be nil
	descriptions *policy.Descriptions
	reserved     []policy.Reservation // the peers that rules without peers are reserved for
}

// applicablePolicies returns the policies that isolate the subject in a direction, in their order.
func (d Dialect) applicablePolicies(
	policies []*networkingv1.NetworkPolicy, subject policy.Workload, direction policy.Direction,
) []applicable {
	var isolating []applicable
	for _, p := range policies {
		if doesNotIsolate(p, subject, direction) != "" {
			continue
		}
		v := applicable{
			NetworkPolicy: p, scope: d, direction: direction, rules: RulesOf(p, direction),
			namespace:    cmp.Or(p.Namespace, subject.Namespace, policy.DefaultNamespace),
			descriptions: new(policy.Descriptions), reserved: reservationsOf(p, direction),
			subject: subject,
		}
		if direction == policy.Egress {
			v.annotated = gatesNames(p)
			v.names = policy.ListedNames(p).All // a malformed entry allows nothing; see Validate
		}
		isolating = append(isolating, v)
	}
	return isolating
}
