package policy

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A subject without recorded callers stays open for ingress, because a test need not see all callers.
// [Scope].CloseIngress and [Scope].DenyAll close it.

// DenyAllName is the name of the policy that denies all traffic of a namespace's pods that no other policy allows.
const DenyAllName = "default-deny-all"

// IsolatesIngress reports whether the subject's policy has the type Ingress.
func (s Scope) IsolatesIngress(subject Subject, isServer bool) bool {
	if isServer {
		return subject.AllTraffic || s.DenyAll // DenyAll would otherwise deny its callers
	}
	return subject.AllTraffic && s.CloseIngress
}

// DeniedNamespaces returns the namespaces of the subjects, sorted, if all traffic there is denied by default.
func (s Scope) DeniedNamespaces() []string {
	var namespaces []string
	for _, subject := range s.Subjects {
		if s.DenyAll && !slices.Contains(namespaces, subject.Namespace) {
			namespaces = append(namespaces, subject.Namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// NotDenied returns the namespaces in which no policy denies some direction by default.
func NotDenied[P metav1.Object](s Scope, policies []P, denies func(P, Direction) bool) []string {
	return slices.DeleteFunc(s.DeniedNamespaces(), func(namespace string) bool {
		return !slices.ContainsFunc(Directions, func(d Direction) bool {
			return !slices.ContainsFunc(policies, func(p P) bool { return p.GetNamespace() == namespace && denies(p, d) })
		})
	})
}

// DescribeNotDenied returns one line for each namespace that [NotDenied] returns.
func DescribeNotDenied(namespaces []string) []string {
	var lines []string
	for _, namespace := range namespaces {
		where := "in the namespace that the policies are applied to"
		if namespace != "" {
			where = "in namespace " + namespace
		}
		lines = append(lines, fmt.Sprintf("no policy denies all traffic %s by default, as DefaultDeny requires", where))
	}
	return lines
}

// InsertOwn adds a subject's policy before the policies at the end that deny everything.
func InsertOwn[P metav1.Object](policies []P, own P) []P {
	at := len(policies)
	for at > 0 && policies[at-1].GetName() == DenyAllName {
		at--
	}
	return slices.Insert(policies, at, own)
}

// WithoutDenyAll returns the policies without those that deny everything. Where these are written, each subject also
// has a policy of its own.
func WithoutDenyAll[P metav1.Object](s Scope, policies []P) []P {
	if !s.DenyAll {
		return policies
	}
	return slices.DeleteFunc(slices.Clone(policies), func(p P) bool { return p.GetName() == DenyAllName })
}
