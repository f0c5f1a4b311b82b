package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// What nobody was seen to call stays open for ingress, because a test need not see all callers. [Scope].CloseIngress
// and [Scope].DenyAll close it.

// DenyAllName is the name of the policy that denies all traffic of a namespace's pods which no other policy allows.
const DenyAllName = "default-deny-all"

// isolatesIngress reports whether a subject's policy is to be of the type Ingress.
func (s Scope) isolatesIngress(subject Subject, isServer bool) bool {
	if isServer {
		return subject.Whole || s.DenyAll // which would deny its callers
	}
	return subject.Whole && s.CloseIngress
}

// deniedNamespaces returns the namespaces of the subjects, sorted, if all traffic there is to be denied by default.
func (s Scope) deniedNamespaces() []string {
	var namespaces []string
	for _, subject := range s.Subjects {
		if s.DenyAll && !slices.Contains(namespaces, subject.Namespace) {
			namespaces = append(namespaces, subject.Namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// denyAll returns the policy that denies all traffic in a namespace by default.
func denyAll(namespace string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: DenyAllName, Namespace: namespace},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress},
		},
	}
}

// ciliumDenyAll is denyAll in the other dialect, where a rule that allows nobody is what denies.
func ciliumDenyAll(namespace string) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: DenyAllName, Namespace: namespace},
	}
	for _, d := range directions {
		setCiliumRules(p, d, []ciliumRule{{}})
	}
	return p
}

// notDenied returns the namespaces in which some direction is not denied by default, by whatever policies.
func notDenied[P metav1.Object](s Scope, policies []P, denies func(P, direction) bool) []string {
	return slices.DeleteFunc(s.deniedNamespaces(), func(namespace string) bool {
		return !slices.ContainsFunc(directions, func(d direction) bool {
			return !slices.ContainsFunc(policies, func(p P) bool { return p.GetNamespace() == namespace && denies(p, d) })
		})
	})
}

// deniesAll reports whether a policy isolates every pod of its namespace in a direction.
func deniesAll(p *networkingv1.NetworkPolicy, d direction) bool {
	return hasType(p, d) && isEmpty(&p.Spec.PodSelector)
}

func ciliumDeniesAll(p *cilium.NetworkPolicy, d direction) bool {
	return len(ciliumRulesOf(p, d)) > 0 && deniesByDefault(p, d) && isEmpty(&p.Spec.EndpointSelector)
}

// describeNotDenied says it in one line each.
func describeNotDenied(namespaces []string) []string {
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

// insertOwn adds a subject's policy, before those at the end that deny all.
func insertOwn[P metav1.Object](policies []P, own P) []P {
	at := len(policies)
	for at > 0 && policies[at-1].GetName() == DenyAllName {
		at--
	}
	return slices.Insert(policies, at, own)
}

// besideDenyAll returns the policies without those that deny all: where they are written, a subject has its own
// besides.
func besideDenyAll[P metav1.Object](s Scope, policies []P) []P {
	if !s.DenyAll {
		return policies
	}
	return slices.DeleteFunc(slices.Clone(policies), func(p P) bool { return p.GetName() == DenyAllName })
}
