// Package networkpolicy generates, evaluates and updates NetworkPolicies of networking.k8s.io/v1.
//
// It evaluates policies as Kubernetes does, with four exceptions:
//   - A NetworkPolicy cannot name a host. A policy that allows the internet lists the allowed names in
//     [policy.NamesAnnotation], and a verdict depends on that list.
//   - A NetworkPolicy has no rules for ICMP and some other protocols. [policy.OtherAnnotation] and
//     [policy.OtherIngressAnnotation] list such flows, and a verdict depends on those lists.
//   - No selector matches the API server or pods on the network of their nodes. [policy.APIServerAnnotation] and
//     [policy.HostNetworkAnnotation] can reserve a rule without peers for them.
//   - A NetworkPolicy has no rules for requests. [policy.RequestsAnnotation] and [policy.KafkaAnnotation] list them, and
//     a verdict depends on those lists.
package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// Dialect generates, evaluates and updates the NetworkPolicies of a scope.
type Dialect struct{ policy.Scope }

var _ policy.Dialect[*networkingv1.NetworkPolicy] = Dialect{}
