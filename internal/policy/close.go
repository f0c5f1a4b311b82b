package policy

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What nobody was seen to call stays open for ingress, because a test need not see all callers. [Scope].CloseIngress
// and [Scope].DenyAll close it.

// DenyAllName is the name of the policy that denies all traffic of a namespace's pods which no other policy allows.
const DenyAllName = "default-deny-all"

// IsolatesIngress reports whether a subject's policy is to be of the type Ingress.
func (s Scope) IsolatesIngress(subject Subject, isServer bool) bool {
	if isServer {
		return subject.AllTraffic || s.DenyAll // which would deny its callers
	}
	return subject.AllTraffic && s.CloseIngress
}

// DeniedNamespaces returns the namespaces of the subjects, sorted, if all traffic there is to be denied by default.
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

// NotDenied returns the namespaces in which some direction is not denied by default, by whatever policies.
func NotDenied[P metav1.Object](s Scope, policies []P, denies func(P, Direction) bool) []string {
	return slices.DeleteFunc(s.DeniedNamespaces(), func(namespace string) bool {
		return !slices.ContainsFunc(Directions, func(d Direction) bool {
			return !slices.ContainsFunc(policies, func(p P) bool { return p.GetNamespace() == namespace && denies(p, d) })
		})
	})
}

// DescribeNotDenied says it in one line each.
func DescribeNotDenied(namespaces []string) []string {
	var lines []string
	for _, namespace := range namespaces {
		where := "in the namespace that the policies are applied to"
		if namespace != "" {
			where = "in namespace " + namespace
		}
		lines = append(lines, fmt.Sprintf("no policy denies all traffic %s by default, which DefaultDeny asks for", where))
	}
	return lines
}

// InsertOwn adds a subject's policy, before those at the end that deny all.
func InsertOwn[P metav1.Object](policies []P, own P) []P {
	at := len(policies)
	for at > 0 && policies[at-1].GetName() == DenyAllName {
		at--
	}
	return slices.Insert(policies, at, own)
}

// WithoutDenyAll returns the policies without those that deny all: where they are written, a subject has its own
// besides.
func WithoutDenyAll[P metav1.Object](s Scope, policies []P) []P {
	if !s.DenyAll {
		return policies
	}
	return slices.DeleteFunc(slices.Clone(policies), func(p P) bool { return p.GetName() == DenyAllName })
}
