// Package recorder records what the tests of this process open: it turns kernel events into the flows of each test.
//
// The process has one [Recorder], with one set of attached programs, and each running test has a [Recording] in it. An
// event passes these stages in this order:
//
//   - dispatch (events_linux.go): each event of package probe goes to the stages below;
//   - attribute (attribute_linux.go): a flow belongs to the recording of the goroutine or process that opened it;
//   - identify (identify_linux.go, package endpoint): the destination, before the processes at the other end end;
//   - correlate (correlation_linux.go): the names of the destination, from DNS, TLS and HTTP;
//   - read requests (requests_linux.go, package requests), with [Options].Requests: what clients send on the flow;
//   - resolve (resolve_linux.go, destination_linux.go, package containers): after the test, the containers at both
//     ends, their tests, and what is infrastructure.
//
// With [Options].Enforcement, the stage enforce (enforce_linux.go) first writes into the kernel what the recording may
// reach: what its table says, and what its machine and engine add (enforce_rules_linux.go, enforce_machine_linux.go).
// Containers start in cgroups that were made for them (enforce_containers_linux.go), so that their rules apply to their
// first packet.
//
// The result is a [recording.Recording]. The package does not know policies or golden files, and never fails a test
// itself. It does not guess: what it cannot attribute is an error or a notice.
package recorder

import (
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Options describes the test of a recording, and what the user said about workloads and destinations.
type Options struct {
	Test    string // name of the test, or of the package's run
	Package bool   // it records a whole package

	// Workload, Namespace and Labels describe the workload of the test process. Containers without a namespace get
	// Namespace too.
	Workload  string
	Namespace string
	Labels    map[string]string

	Driver   bool // the test process is not a workload
	Binaries bool // the programs that open flows must be known
	Requests bool // the requests that clients send are read

	Peers          []endpoint.Peer
	ClusterDomains []string // besides cluster.local
	Ignored        endpoint.Ignored

	// ClusterName returns the workload for a DNS name with dots, and false if the name is a host outside of the
	// cluster.
	ClusterName func(name string) (flow.Endpoint, bool)

	// FixedPort reports whether the user said that the port of a flow does not change.
	FixedPort func(flow.Flow) bool

	// Enforcement is what the kernel refuses; nil if it refuses nothing.
	Enforcement *Enforcement

	// AtEnd calls a function when all tests of this process have ended; nil if nothing does. With it, what the last
	// recording leaves stays for the next one, and is closed by that function.
	AtEnd func(closeIdle func())

	// Announce prints a line even without -v.
	Announce func(text string)
}

// includes reports whether test is a subtest of parent. Both then record the flows of test.
func includes(parent, test string) bool { return strings.HasPrefix(test, parent+"/") }
