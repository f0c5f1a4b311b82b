package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
