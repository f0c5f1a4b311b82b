package policy

import (
	"k8s.io/apimachinery/pkg/labels"
)

// NamespaceNameLabels returns the label that the API server sets on a namespace.
func NamespaceNameLabels(namespace string) labels.Set { return labels.Set{NamespaceLabel: namespace} }
