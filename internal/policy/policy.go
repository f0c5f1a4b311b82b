// Package policy turns flows into Kubernetes network policies, and tells what policies do to a flow.
//
// It refuses to guess. A flow that a NetworkPolicy has no words for (ICMP) is listed in [OtherAnnotation] and judged from
// there; a name that is no host name is its address; and a port with a name matches nothing where nobody knows which port the pods give it to. Pods are known by
// their labels, which without better knowledge are app=<name>, namespaces by the label kubernetes.io/metadata.name
// that the API server sets. A workload of which nobody knows the namespace is taken to be in that of the policy that
// speaks of it.
//
// A flow is judged at both of its ends, as far as they are in [Scope]: the source's egress and the destination's
// ingress have to allow it.
//
// In one thing it is stricter than Kubernetes: a NetworkPolicy cannot name a host, so a policy that opens the
// internet lists the names it was opened for in [NamesAnnotation], and the verdict asks that list.
package policy

import (
	"cmp"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The annotations that [Scope.Generate] writes. Their value is a sorted, comma-separated list.
const (
	// NamesAnnotation holds the hosts for which the policy opens the internet, and the ports that each may be asked
	// on: "api.stripe.com:443/TCP,hooks.slack.com:443/TCP". In an entry that a person edits, a leading "*." stands
	// for one or more labels, and any other "*" for letters, digits and hyphens within its label.
	//
	// "telemetry.example:*" allows the look-up of a name that got no address, and no port. Such an entry may be a workload's,
	// as in [OtherAnnotation], and stands in a CiliumNetworkPolicy too.
	NamesAnnotation = "netzero.dev/egress-names"
	// MetadataAnnotation says that the address in it is the instance metadata service of a cloud, which hands out
	// credentials: "169.254.169.254:80/TCP". It is for readers; no verdict depends on it.
	MetadataAnnotation = "netzero.dev/egress-metadata-service"
)

const (
	namespaceLabel   = "kubernetes.io/metadata.name"
	defaultNamespace = "default" // where kubectl puts what names none
)

// isolates reports whether any of the policies isolates the subject in a direction: it selects the subject, and has the
// policy type. If none does, the string says why not, policy by policy, in one line.
//
// A policy without a namespace is taken to be in the subject's, and the reverse.
func isolates(policies []*networkingv1.NetworkPolicy, subject Workload, d direction) (bool, string) {
	return isolated(subject, d, policies, func(p *networkingv1.NetworkPolicy) string { return passesOver(p, subject, d) })
}

func isolated[P any](subject Workload, d direction, policies []P, passesOver func(P) string) (bool, string) {
	var misses []string
	for _, p := range policies {
		miss := passesOver(p)
		if miss == "" {
			return true, ""
		}
		misses = append(misses, miss)
	}
	if len(misses) == 0 {
		misses = append(misses, "there is none")
	}
	return false, fmt.Sprintf("no policy isolates %s for %s: %s", subject.Name, d, abbreviate(misses, "; "))
}

// passesOver says why a policy does not isolate the subject in a direction, or returns "" if it does.
func passesOver(p *networkingv1.NetworkPolicy, subject Workload, d direction) string {
	if why := overlooks(p, subject); why != "" {
		return why
	}
	if !hasType(p, d) {
		return fmt.Sprintf("policy %s is not of the type %s", p.Name, d.policyType())
	}
	return ""
}

// overlooks says why a policy does not select the subject, or returns "" if it does.
func overlooks(p *networkingv1.NetworkPolicy, subject Workload) string {
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !selects(&p.Spec.PodSelector, subject.self().labels()):
		return fmt.Sprintf("policy %s selects %s, the pods have %s", p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), subject.self().labels())
	}
	return ""
}

// selects reports whether a selector matches. One that is not valid matches nothing; see [Validate].
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

// view is a policy that isolates a subject in a direction, with what it takes to read its rules.
type view struct {
	*networkingv1.NetworkPolicy
	scope     Scope
	direction direction
	rules     []rule
	namespace string // of the policy and the subject, never empty
	subject   Workload
	annotated bool          // with NamesAnnotation, be it an empty one; never for ingress
	names     []allowedName // that it lists
	listed    *nameIndex    // of them; may be nil
	openings  *openings
	reserved  []reservation // for whom rules without peers are
}

// views returns the policies that isolate the subject in a direction, in their order.
func (s Scope) views(policies []*networkingv1.NetworkPolicy, subject Workload, d direction) []view {
	var isolating []view
	for _, p := range policies {
		if passesOver(p, subject, d) != "" {
			continue
		}
		v := view{
			NetworkPolicy: p, scope: s, direction: d, rules: rulesOf(p, d),
			namespace: cmp.Or(p.Namespace, subject.Namespace, defaultNamespace), openings: new(openings), reserved: reservationsOf(p, d),
			subject: subject,
		}
		if d == egress {
			v.annotated = gatesNames(p)
			v.names = listedNames(p).all // a malformed entry allows nothing; see Validate
		}
		isolating = append(isolating, v)
	}
	return isolating
}

// abbreviate joins at most three phrases and counts the rest, so that a reason stays one line.
func abbreviate(phrases []string, separator string) string {
	const most = 3
	if rest := len(phrases) - most; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(phrases[:most], separator), rest)
	}
	return strings.Join(phrases, separator)
}
