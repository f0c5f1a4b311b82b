package policy

import (
	"maps"

	"k8s.io/apimachinery/pkg/labels"
)

// Workload is a set of pods as a selector sees it.
type Workload struct {
	Name      string            // a DNS-1123 subdomain; the name of its policy
	Namespace string            // a DNS-1123 label; empty means whichever its policies are applied to
	Labels    map[string]string // the labels of its pods; none means those of Selector
	Selector  map[string]string // those of them by which what is generated selects the pods; none means all of them
}

// labels returns all labels of the pods. Without any they are {"app": Name}.
func (w Workload) labels() labels.Set {
	if len(w.Labels)+len(w.Selector) == 0 {
		return labels.Set{"app": w.Name}
	}
	all := make(labels.Set)
	maps.Copy(all, w.Labels)
	maps.Copy(all, w.Selector) // or what is generated would not select them
	return all
}

// selecting returns the labels by which a generated selector knows the pods.
func (w Workload) selecting() labels.Set {
	if len(w.Selector) > 0 {
		return w.Selector
	}
	return w.labels()
}
