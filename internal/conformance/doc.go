// Package conformance holds golden files, generated policies and verdicts against programs that nobody here wrote: the
// matcher of cyclonus for NetworkPolicies, and for CiliumNetworkPolicies the validators of Cilium, which are the sanitizer
// of its agent and the OpenAPI schema of its CRD as an API server applies it, and the simulator of its agent.
//
// It is a module of its own, so that nobody else downloads them. Of CiliumNetworkPolicy.Parse it takes the steps, not the
// function, whose package needs all of Cilium's state database. The agent's policy repository needs that too, and a
// client of another release of Kubernetes; the simulator is what Cilium's own fuzzing holds that repository against. Of
// the database it takes one package, for which directory statedb stands in.
//
// Package policy means to differ from both in this: a golden file that isolates nobody is unprotected, where a cluster
// lets everything pass; the internet is open to the names of an annotation only; a range of addresses never holds pods,
// which Kubernetes leaves open; and a rule that names a port of DNS stands for the cluster's resolver. Where cyclonus
// differs from Kubernetes' documents, what it is asked is put in other words; see newCyclonus.
//
// What is drawn is drawn from a seed that is printed, and that NETZERO_TEST_SEED sets.
package conformance
