package policy

import (
	"fmt"
	"maps"

	"github.com/netzero-dev/netzero/netzerotest/flow"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Describe names the peer end of a flow in a reason. It adds the labels of pods that do not follow from the name,
// because a rule selects by labels.
func (s Scope) Describe(d Direction, e flow.Endpoint) string {
	switch e.Kind {
	case flow.Workload:
		w, _ := s.WorkloadOf(e)
		w = w.AsPeer(d)
		e.Namespace = w.Namespace
		if UsesHostNetwork(e) {
			return e.String() + " (pods on the network of their nodes, where no selector finds them)"
		}
		if !maps.Equal(w.AllLabels(), Workload{Name: e.Name}.AllLabels()) {
			return fmt.Sprintf("%s (pods %s)", e, w.AllLabels())
		}
	case flow.Resolver:
		return fmt.Sprintf("the cluster's resolver (%s)", s.ResolverOf(e))
	case flow.APIServer:
		if e.Addr.IsValid() {
			return fmt.Sprintf("the API server at %s (which no selector finds)", e.Addr)
		}
		return "the API server (which no selector finds)"
	case flow.Anyone:
		return "callers from anywhere"
	}
	return e.String()
}

// DescribePods describes the pods that a selector matches: "all pods", "pods app=db".
func DescribePods(selector *metav1.LabelSelector) string {
	if IsEmpty(selector) {
		return "all pods"
	}
	return "pods " + metav1.FormatLabelSelector(selector)
}

// IsEmpty reports whether a selector matches everything.
func IsEmpty(selector *metav1.LabelSelector) bool {
	return selector == nil || len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}
