package policy

import (
	"k8s.io/apimachinery/pkg/labels"
)

func NamespaceNameLabels(namespace string) labels.Set { return labels.Set{NamespaceLabel: namespace} }
