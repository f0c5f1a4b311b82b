// Package policy turns flows into Kubernetes network policies, and tells what policies do to a flow.
//
// It refuses to guess. A flow that a NetworkPolicy has no words for (ICMP, a name that is no host name) is never
// quietly covered, and a port with a name, which only the pods themselves resolve, matches nothing. Policies are
// judged for egress only. Pods are known by the labels that [Generate] writes for them, app=<name>, namespaces by
// the label kubernetes.io/metadata.name that the API server sets.
//
// In one thing it is stricter than Kubernetes: a NetworkPolicy cannot name a host, so a policy that opens the
// internet lists the names it was opened for in [NamesAnnotation], and the verdict asks that list.
package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The annotations that [Generate] writes. Their value is a sorted, comma-separated list.
const (
	// NamesAnnotation holds the hosts for which the policy opens the internet, and the ports that each may be asked
	// on: "api.stripe.com:443/TCP,hooks.slack.com:443/TCP". In an entry that a person edits, a leading "*." stands
	// for one or more labels, and any other "*" for letters, digits and hyphens within its label.
	NamesAnnotation = "netzero.dev/egress-names"
	// MetadataAnnotation says that the address in it is the instance metadata service of a cloud, which hands out
	// credentials: "169.254.169.254:80/TCP". It is for readers; no verdict depends on it.
	MetadataAnnotation = "netzero.dev/egress-metadata-service"
)

const (
	namespaceLabel   = "kubernetes.io/metadata.name"
	defaultNamespace = "default" // where kubectl puts what names none
)

// Workload is a set of pods as a selector sees it.
type Workload struct {
	Name      string            // a DNS-1123 subdomain; the name of its policy
	Namespace string            // a DNS-1123 label; empty means whichever its policies are applied to
	Labels    map[string]string // the labels of its pods; none means {"app": Name}
}

func (w Workload) labels() labels.Set {
	if len(w.Labels) == 0 {
		return podLabels(w.Name)
	}
	return w.Labels
}

func podLabels(name string) labels.Set { return labels.Set{"app": name} }

// Isolated reports whether any of the policies isolates the subject for egress: it selects the subject, and has the
// policy type Egress. If none does, the string says why not, policy by policy, in one line.
//
// As in Kubernetes, a policy without policyTypes has the type Egress if it has egress rules. A policy without a
// namespace is taken to be in the subject's, and the reverse.
func Isolated(policies []*networkingv1.NetworkPolicy, subject Workload) (bool, string) {
	var misses []string
	for _, p := range policies {
		miss := passesOver(p, subject)
		if miss == "" {
			return true, ""
		}
		misses = append(misses, miss)
	}
	if len(misses) == 0 {
		misses = append(misses, "there is none")
	}
	return false, fmt.Sprintf("no policy isolates %s for egress: %s", subject.Name, abbreviate(misses, "; "))
}

// passesOver says why a policy does not isolate the subject for egress, or returns "" if it does.
func passesOver(p *networkingv1.NetworkPolicy, subject Workload) string {
	switch {
	case p.Namespace != "" && subject.Namespace != "" && p.Namespace != subject.Namespace:
		return fmt.Sprintf("policy %s is in namespace %s, not in %s", p.Name, p.Namespace, subject.Namespace)
	case !selects(&p.Spec.PodSelector, subject.labels()):
		return fmt.Sprintf("policy %s selects %s, the pods have %s", p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), subject.labels())
	case !hasEgressType(p):
		return fmt.Sprintf("policy %s is not of the type Egress", p.Name)
	}
	return ""
}

func hasEgressType(p *networkingv1.NetworkPolicy) bool {
	if len(p.Spec.PolicyTypes) == 0 {
		return len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// selects reports whether a selector matches. One that is not valid matches nothing; see [Validate].
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

// view is a policy that isolates a subject, with what it takes to read its rules.
type view struct {
	*networkingv1.NetworkPolicy
	namespace string // of the policy and the subject, never empty
	annotated bool   // with NamesAnnotation, be it an empty one
	names     []allowedName
}

// views returns the policies that isolate the subject for egress, in their order.
func views(policies []*networkingv1.NetworkPolicy, subject Workload) []view {
	var isolating []view
	for _, p := range policies {
		if passesOver(p, subject) != "" {
			continue
		}
		v := view{NetworkPolicy: p, namespace: cmp.Or(p.Namespace, subject.Namespace, defaultNamespace)}
		var list string
		list, v.annotated = p.Annotations[NamesAnnotation]
		v.names, _ = parseNames(list) // a malformed entry allows nothing; see Validate
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
