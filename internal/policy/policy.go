// Package policy holds the common parts of the network policy dialects: verdicts and their reasons, the workloads in
// [Scope], the annotations that extend a policy, and the interface [Dialect]. The packages networkpolicy and
// ciliumpolicy each implement one dialect.
//
// A flow is evaluated at each of its ends that is a subject of the [Scope]: both the egress of the source and the
// ingress of the destination have to allow it.
//
// The package does not guess. It lists a flow that no rule can allow, such as ICMP, in [OtherAnnotation]. It uses the
// address where a name is not a host name. A named port matches nothing unless the number of the pods' port is known.
// Pods are known by their labels, app=<name> by default, and namespaces by the label kubernetes.io/metadata.name,
// which the API server sets. A workload without a known namespace is in the namespace of the policy that refers to
// it.
package policy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The annotations that [Dialect].Generate writes. Their value is a sorted, comma-separated list.
const (
	// NamesAnnotation holds the hosts that a policy's internet rules are for, with the allowed ports of each:
	// "api.stripe.com:443/TCP,hooks.slack.com:443/TCP". In an entry that a person edits, a leading "*." stands for
	// one or more labels, and any other "*" for letters, digits and hyphens within its label.
	//
	// "telemetry.example:*" allows the lookup of a name that got no address, and no port. Such an entry may name a
	// workload, as in [OtherAnnotation]. A CiliumNetworkPolicy has such entries too.
	NamesAnnotation = "netzero.dev/egress-names"
	// MetadataAnnotation marks its address as the instance metadata service of a cloud, which hands out credentials:
	// "169.254.169.254:80/TCP". It informs readers; no verdict depends on it.
	MetadataAnnotation = "netzero.dev/egress-metadata-service"
)

const (
	NamespaceLabel   = "kubernetes.io/metadata.name" // the API server sets it on each namespace, to its name
	DefaultNamespace = "default"                     // the namespace that kubectl uses for an object without one
)

// Isolated reports whether any policy isolates a subject in a direction. If none does, the string gives the reason
// for each policy, in one line. doesNotIsolate returns the reason for one policy, or "" if that policy isolates the
// subject.
func Isolated[P any](subject Workload, d Direction, policies []P, doesNotIsolate func(P) string) (bool, string) {
	var misses []string
	for _, p := range policies {
		miss := doesNotIsolate(p)
		if miss == "" {
			return true, ""
		}
		misses = append(misses, miss)
	}
	if len(misses) == 0 {
		misses = append(misses, "there is none")
	}
	return false, fmt.Sprintf("no policy isolates %s for %s: %s", subject.Name, d, Abbreviate(misses, "; "))
}

// Selects reports whether a selector matches. An invalid selector matches nothing; see [Dialect].Validate.
func Selects(selector *metav1.LabelSelector, set labels.Labels) bool {
	if selector == nil {
		return false
	}
	for key, value := range selector.MatchLabels {
		if label, has := set.Lookup(key); !has || label != value {
			return false
		}
	}
	if len(selector.MatchExpressions) == 0 {
		return areLabels(selector.MatchLabels)
	}
	s, err := metav1.LabelSelectorAsSelector(selector) // which costs a hundred times as much
	return err == nil && s.Matches(set)
}

// areLabels reports whether all keys and values of a set can be those of labels.
func areLabels(set map[string]string) bool {
	for key, value := range set {
		if !isLabelKey(key) || !isLabelValue(value) {
			return false
		}
	}
	return true
}

// isLabelKey is [validation.IsQualifiedName] without the reasons. Most keys have no prefix.
func isLabelKey(key string) bool {
	if strings.Contains(key, "/") {
		return len(validation.IsQualifiedName(key)) == 0
	}
	return key != "" && isLabelValue(key)
}

// isLabelValue is [validation.IsValidLabelValue] without the reasons.
func isLabelValue(value string) bool {
	isAlphanumeric := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	for i := range len(value) {
		isEnd := i == 0 || i == len(value)-1
		if c := value[i]; !isAlphanumeric(c) && (isEnd || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return len(value) <= validation.LabelValueMaxLength
}

// mostPhrases is the largest number of phrases that a reason names.
const mostPhrases = 3

// Abbreviate joins at most three phrases and counts the rest, so that a reason stays on one line.
func Abbreviate(phrases []string, separator string) string {
	return abbreviate(phrases[:min(mostPhrases, len(phrases))], len(phrases), separator)
}

// abbreviate is [Abbreviate] for n phrases, given only those that it joins.
func abbreviate(first []string, n int, separator string) string {
	text := strings.Join(first, separator)
	if rest := n - mostPhrases; rest > 0 {
		return fmt.Sprintf("%s and %d more", text, rest)
	}
	return text
}

// MetadataServiceEntry returns the entry of [MetadataAnnotation] for a port of the instance metadata service.
func MetadataServiceEntry(port uint16, protocol flow.Protocol) string {
	return fmt.Sprintf("%s:%d/%s", flow.MetadataService, port, protocol)
}
