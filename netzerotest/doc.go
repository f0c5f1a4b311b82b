// Package netzerotest records the network flows of a Go test and compares them with a committed Kubernetes
// NetworkPolicy. An unexpected flow fails the test.
//
//	func TestCheckout(t *testing.T) {
//		netzerotest.Record(t)
//		...
//	}
//
// While the test runs, eBPF programs in the kernel record every TCP connection attempt and every UDP datagram of the
// test process, its child processes and its containers. When the test ends, the policy in
// testdata/netzero/TestCheckout.yaml has to allow each flow. A flow that it does not allow fails the test. The failure
// names the process that opened the flow, and shows the command that accepts it:
//
//	go test -run '^TestCheckout$' -update
//
// This writes a policy that allows the recorded flows and nothing else, ready for kubectl apply. You may edit it:
// NetZero evaluates the policy and does not compare its text.
//
// # Containers
//
// A [Recording] is a testcontainers.ContainerCustomizer. A container that gets it is recorded from its start and has a
// policy of its own:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//
// A container that does not get it, but starts during the recording, belongs to it in one of these cases:
//
//   - a process of the test started it;
//   - it exchanged traffic with the test process or another container of the recording;
//   - it shares a compose project or a network with such a container.
//
// A notice lists all other containers that testcontainers started meanwhile, because packages that are tested at the
// same time share its session. Containers that ran before are peers. See [the rules].
//
// # Packages
//
// If TestMain starts containers, pools or other resources that the tests share, [RecordPackage] makes one recording of
// the whole package, without a call in any test. Its policy does not depend on the order of the tests.
//
// # Enforce
//
// With the option [Enforce], the kernel refuses what the golden file does not allow, before a packet leaves. The call
// fails with EPERM. [Recording.Refused] returns what was refused so far. NETZERO_ENFORCE=1 enforces all golden files.
//
// # Limitations
//
// Recording needs Linux 5.10 or newer, cgroup v2, and root or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Without these, a
// test on a developer's machine runs unrecorded, and a line says what is missing. It fails in CI (where the variable CI
// is set), with NETZERO=require and with -update. NETZERO=off records nothing. This command lists all that a machine
// lacks, and how to fix it:
//
//	go run github.com/netzero-dev/netzero/netzerotest/cmd/netzero doctor
//
// In CI, results are also shown as attributes of the test and, on GitHub, in the step summary and as annotations.
// NETZERO_CI=off turns this off.
//
// A golden file is never written in CI, after a test that failed, was skipped or panicked, or from a recording that
// lost events.
//
// A TCP connection that was open before Record is a flow once something is sent over it. Traffic that bypasses the
// socket layer (packet sockets) is not recorded.
//
// If several names share an address, a flow has the name that was looked up before the connection. If they are looked
// up at the same moment, the TLS server name or the HTTP/1 Host decides. If a client sends neither, every name gets the
// flows to that address and port.
//
// Tests that run in parallel in one process are attributed by goroutine: a flow belongs to the recording of the
// goroutine that opened it, or that started the process that opened it. A flow that no recorded test opened is in all
// overlapping recordings, and a notice lists it. See [attribution].
//
// [the rules]: https://github.com/netzero-dev/netzero/blob/main/docs/containers.md
// [attribution]: https://github.com/netzero-dev/netzero/blob/main/docs/attribution.md
package netzerotest
