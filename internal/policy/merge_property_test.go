package policy_test

import (
	networkingv1 "k8s.io/api/networking/v1"
)

func clone(policies []*networkingv1.NetworkPolicy) []*networkingv1.NetworkPolicy {
	var copies []*networkingv1.NetworkPolicy
	for _, p := range policies {
		copies = append(copies, p.DeepCopy())
	}
	return copies
}
