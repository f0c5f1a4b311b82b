// Package networkpolicy generates, evaluates and updates NetworkPolicies of networking.k8s.io/v1.
//
// It evaluates policies as Kubernetes does, with three exceptions:
//   - A NetworkPolicy cannot name a host. A policy that allows the internet lists the allowed names in
//     [policy.NamesAnnotation], and a verdict depends on that list.
//   - A NetworkPolicy has no rules for ICMP and some other protocols. [policy.OtherAnnotation] and
//     [policy.OtherIngressAnnotation] list such flows, and a verdict depends on those lists.
//   - No selector finds the API server or pods on the network of their nodes. A rule without peers can be reserved for
//     them by [policy.APIServerAnnotation] and [policy.HostNetworkAnnotation].
package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// Dialect generates, evaluates and updates the NetworkPolicies of a scope.
type Dialect struct{ policy.Scope }

var _ policy.Dialect[*networkingv1.NetworkPolicy] = Dialect{}

// Unite is the function of that name.
func (Dialect) Unite(sets ...[]*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	return Unite(sets...)
}

// Validate is the function of that name.
func (Dialect) Validate(p *networkingv1.NetworkPolicy) error { return Validate(p) }
