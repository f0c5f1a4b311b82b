// Package conformance compares golden files, generated policies and verdicts with independent programs: the matcher of
// cyclonus for NetworkPolicies; for CiliumNetworkPolicies the validators of Cilium (the sanitizer of its agent, and the
// OpenAPI schema of its CRD as an API server applies it) and the simulator of its agent. Prometheus' own code reads the
// metrics.
//
// It is a separate module, so that users do not download them. It repeats the steps of CiliumNetworkPolicy.Parse,
// because the package of that function needs all of Cilium's state database. The agent's policy repository needs that
// too, and a client of another release of Kubernetes; Cilium's own fuzzing compares that repository with the simulator
// used here. Directory statedb replaces the one package of the database that remains.
//
// Package policy differs from both on purpose: a golden file that isolates no workload is unprotected, where a cluster
// allows everything; only the names of an annotation allow public addresses; a range of addresses never contains pods,
// which Kubernetes leaves open; and a rule that names a DNS port stands for the cluster's resolver. Where cyclonus
// differs from Kubernetes' documents, newCyclonus translates its input.
//
// Random inputs come from a seed that is printed. NETZERO_TEST_SEED sets it.
package conformance
