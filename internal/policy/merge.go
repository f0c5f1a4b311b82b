package policy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OwnPolicy returns the policy with the name of a subject, or nil.
func OwnPolicy[P interface {
	comparable
	metav1.Object
}](policies []P, scope Scope, subject Workload) P {
	namesakes := 0
	for _, s := range scope.Subjects {
		if s.Name == subject.Name {
			namesakes++
		}
	}
	var own, none P
	for _, p := range policies {
		switch {
		case p.GetName() != subject.Name:
		case p.GetNamespace() == subject.Namespace:
			return p
		case own == none && (p.GetNamespace() == "" || subject.Namespace == "") && namesakes == 1:
			own = p
		}
	}
	return own
}
