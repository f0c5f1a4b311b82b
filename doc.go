// Package netzero is the root of a module that turns integration tests into Kubernetes network policies. It exports
// nothing; import one of these:
//
//   - [github.com/netzero-dev/netzero/netzerotest] uses eBPF to record the network flows of a Go test, and
//     compares them with the policy that is committed beside the test. Most users need only this package.
//   - [github.com/netzero-dev/netzero/netzerotest/flow] has the types of recorded flows, for assertions.
//   - [github.com/netzero-dev/netzero/golden] reads, merges and writes policy files.
//
// The command github.com/netzero-dev/netzero/netzerotest/cmd/netzero runs tests with what recording needs, and reports
// whether a machine can record, and what is missing.
//
// Recording needs Linux 5.10 or newer, cgroup v2, and root or three capabilities. Everything compiles on other
// systems, where the command records in the Linux of a container engine.
package netzero
