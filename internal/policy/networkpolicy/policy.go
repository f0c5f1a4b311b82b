package networkpolicy

import (
	"cmp"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// isolates reports whether any of the policies isolates the subject in a direction: it selects the subject, and has the
// policy type. If none does, the string says why not, policy by policy, in one line.
//
// A policy without a namespace is taken to be in the subject's, and the reverse.
func isolates(policies []*networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) (bool, string) {
	return policy.Isolated(subject, d, policies, func(p *networkingv1.NetworkPolicy) string { return doesNotIsolate(p, subject, d) })
}

// doesNotIsolate says why a policy does not isolate the subject in a direction, or returns "" if it does.
func doesNotIsolate(p *networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) string {
	if why := doesNotSelect(p, subject); why != "" {
		return why
	}
	if !HasType(p, d) {
		return fmt.Sprintf("policy %s is not of the type %s", p.Name, policyTypeOf(d))
	}
	return ""
}

// doesNotSelect says why a policy does not select the subject, or returns "" if it does.
func doesNotSelect(p *networkingv1.NetworkPolicy, subject policy.Workload) string {
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !policy.Selects(&p.Spec.PodSelector, subject.AsSubject().AllLabels()):
		return fmt.Sprintf("policy %s selects %s, the pods have %s", p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), subject.AsSubject().AllLabels())
	}
	return ""
}

// applicable is a policy that isolates a subject in a direction, with what it takes to read its rules.
type applicable struct {
	*networkingv1.NetworkPolicy
	scope     Dialect
	direction policy.Direction
	rules     []Rule
	namespace string // of the policy and the subject, never empty
	subject   policy.Workload
	annotated bool                 // with NamesAnnotation, be it an empty one; never for ingress
	names     []policy.AllowedName // that it lists
	listed    *policy.NameIndex    // of them; may be nil
	openings  *policy.Descriptions
	reserved  []policy.Reservation // for whom rules without peers are
}

// applicablePolicies returns the policies that isolate the subject in a direction, in their order.
func (s Dialect) applicablePolicies(policies []*networkingv1.NetworkPolicy, subject policy.Workload, d policy.Direction) []applicable {
	var isolating []applicable
	for _, p := range policies {
		if doesNotIsolate(p, subject, d) != "" {
			continue
		}
		v := applicable{
			NetworkPolicy: p, scope: s, direction: d, rules: RulesOf(p, d),
			namespace: cmp.Or(p.Namespace, subject.Namespace, policy.DefaultNamespace), openings: new(policy.Descriptions), reserved: reservationsOf(p, d),
			subject: subject,
		}
		if d == policy.Egress {
			v.annotated = gatesNames(p)
			v.names = policy.ListedNames(p).All // a malformed entry allows nothing; see Validate
		}
		isolating = append(isolating, v)
	}
	return isolating
}
