// Package netzerotest records which network flows a Go test opens, and holds them against a committed Kubernetes
// NetworkPolicy: unexpected egress fails the test.
//
//	func TestCheckout(t *testing.T) {
//		netzerotest.Record(t)
//		...
//	}
//
// While the test runs, eBPF programs in the kernel see every TCP connection attempt and every UDP datagram of the test
// process, of the processes that it starts and of its containers. When it ends, each flow must be allowed by the policy in
// testdata/netzero/TestCheckout.yaml. A flow that is not fails the test, with who opened it and the command that
// accepts it:
//
//	go test -run '^TestCheckout$' -update
//
// writes the policy that allows what was seen and nothing else, ready for kubectl apply. It is compared by what it
// allows, not by its text, so it may be edited by hand.
//
// # Containers
//
// A [Recording] is a testcontainers.ContainerCustomizer. A container that it is passed to is recorded from its birth and has a
// policy of its own:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//
// Containers that were not passed, but were started during the recording, belong to it where the test process or another
// container of the recording talks to them, or they to it; where they are of the same compose project; and where they
// share a network with one; and where the test's own processes started them (docs/containers.md). What else testcontainers
// started meanwhile is told in a notice, because packages that are tested at once share its session. Containers that ran before are known as peers.
//
// # Packages
//
// Where TestMain starts what the tests share, such as containers and pools, [RecordPackage] makes one recording of the whole
// package, without a call in any test. Its policy does not depend on the order of the tests.
//
// # What bites
//
// Recording needs Linux from 5.10 on with cgroup v2, and root or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Without, a
// developer's test runs on unrecorded with a line that says what is missing; in CI (where the variable CI is set), with
// NETZERO=require and with -update that is fatal. NETZERO=off records nothing. All that a machine lacks, and what mends it:
//
//	go run github.com/netzero-dev/netzero/netzerotest/doctor
//
// A golden file is never written in CI, nor from a test that failed, was skipped or panicked, nor from a recording that
// lost events.
//
// A TCP connection that was open before Record is a flow once something is sent over it. What passes by the socket layer
// (packet sockets) is not seen.
// Names that share an address are told apart by which of them was asked for before the connection. Those that are asked for
// at the same moment are told apart by what clients of TLS and HTTP/1 call the server. Where one of them says nothing of the
// kind, each name is given the flows to that address and port.
//
// Tests that run in parallel in one process are told apart by goroutine: a flow belongs to the recording whose goroutine
// opened it, or started the process that did. What no recorded test's goroutine opened is in all that overlap, and a
// notice lists it (docs/attribution.md).
package netzerotest
