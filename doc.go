// Package netzero is the root of a module that turns integration tests into Kubernetes network policies. It exports
// nothing; import one of these:
//
//   - [github.com/netzero-dev/netzero/netzerotest] records the network flows of a Go test by eBPF and compares them
//     with the policy that is committed beside the test. Most users need only this package.
//   - [github.com/netzero-dev/netzero/golden] reads, merges and writes the files of policies.
//
// The command github.com/netzero-dev/netzero/netzerotest/doctor says whether a machine can record, and what it lacks.
//
// Recording needs Linux 5.10 or newer, cgroup v2, and root or three capabilities. Everything compiles on other
// systems, where tests run unrecorded.
package netzero
