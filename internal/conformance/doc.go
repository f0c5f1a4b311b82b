// Package conformance holds golden files and generated policies against Cilium's own validators: the sanitizer of its
// agent, and the OpenAPI schema of its CRD as an API server applies it.
//
// It is a module of its own, so that nobody else downloads Cilium. It proves that Cilium accepts a policy, not that a
// policy means what it should: for that, package policy compares its verdicts with those of the other dialect. Of
// CiliumNetworkPolicy.Parse it takes the steps, not the function, whose package needs all of Cilium's state database.
package conformance
