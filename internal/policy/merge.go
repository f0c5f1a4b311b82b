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

// AddUntilDone calls add for each subject and direction until nothing changes. The policy of one subject may also
// select others, and isolate them once it changes.
func AddUntilDone(subjects []Subject, add func(Subject, Direction) (changed bool)) {
	for range len(subjects) + 1 {
		changed := false
		for _, subject := range subjects {
			for _, d := range Directions {
				changed = add(subject, d) || changed
			}
		}
		if !changed {
			return
		}
	}
}
