package ciliumpolicy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// denyAll returns the default-deny policy of a namespace. In this dialect, an empty rule denies a direction.
func denyAll(namespace string) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: policy.DenyAllName, Namespace: namespace},
	}
	for _, d := range policy.Directions {
		SetRules(p, d, []Rule{{}})
	}
	return p
}

func deniesAll(p *cilium.NetworkPolicy, d policy.Direction) bool {
	return len(RulesOf(p, d)) > 0 && DeniesByDefault(p, d) && policy.IsEmpty(&p.Spec.EndpointSelector)
}
