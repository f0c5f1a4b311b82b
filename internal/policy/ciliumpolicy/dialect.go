// Package ciliumpolicy generates, evaluates and updates CiliumNetworkPolicies of cilium.io/v2.
//
// It evaluates policies as Cilium does. What a policy can say differs from a NetworkPolicy:
//   - toFQDNs names a host. Such a rule needs another rule that lets Cilium read the DNS queries for that name.
//   - The API server and the node are entities.
//   - A rule can allow a type of ICMP.
//   - A policy denies by default in each direction in which it has rules, unless enableDefaultDeny says otherwise.
//   - A rule can deny, and then no other rule allows.
//
// Flows that no rule can allow are listed in annotations, as in package networkpolicy.
package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Dialect generates, evaluates and updates the CiliumNetworkPolicies of a scope.
type Dialect struct{ policy.Scope }

// Policies are policies of this dialect.
type Policies = []*cilium.NetworkPolicy

var _ policy.Dialect[*cilium.NetworkPolicy] = Dialect{}
