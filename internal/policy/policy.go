// Package policy holds what the dialects of network policies have in common: what a verdict and its reason are, the
// workloads in [Scope], the annotations that extend a policy, and the interface [Dialect]. The packages networkpolicy and
// ciliumpolicy each implement one dialect.
//
// A flow is evaluated at both of its ends, as far as they are in [Scope]: the egress of the source and the ingress of the
// destination have to allow it.
//
// The package does not guess. It lists a flow that no rule can allow, such as ICMP, in [OtherAnnotation]; it uses the
// address where a name is not a host name; and a named port matches nothing unless the number of the pods' port is known.
// Pods are known by their labels, app=<name> by default, and namespaces by the label kubernetes.io/metadata.name, which
// the API server sets. A workload without a known namespace is in the namespace of the policy that refers to it.
package policy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The annotations that [Dialect].Generate writes. Their value is a sorted, comma-separated list.
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
	NamespaceLabel   = "kubernetes.io/metadata.name" // the API server sets it on each namespace, to its name
	DefaultNamespace = "default"                     // where kubectl puts an object without a namespace
)

// Isolated reports whether any policy isolates a subject in a direction. If none does, the string says why not, policy by
// policy, in one line. doesNotIsolate says it for one policy.
func Isolated[P any](subject Workload, d Direction, policies []P, passesOver func(P) string) (bool, string) {
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
	return false, fmt.Sprintf("no policy isolates %s for %s: %s", subject.Name, d, Abbreviate(misses, "; "))
}

// Selects reports whether a selector matches. One that is not valid matches nothing; see [Validate].
func Selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

// Abbreviate joins at most three phrases and counts the rest, so that a reason stays one line.
func Abbreviate(phrases []string, separator string) string {
	const most = 3
	if rest := len(phrases) - most; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(phrases[:most], separator), rest)
	}
	return strings.Join(phrases, separator)
}

// MetadataServiceEntry returns the entry of [MetadataAnnotation] for a port of the instance metadata service.
func MetadataServiceEntry(port uint16, protocol flow.Protocol) string {
	return fmt.Sprintf("%s:%d/%s", flow.MetadataService, port, protocol)
}
