// Package recorder records what tests of this process open: it turns the kernel's events into the flows of each test.
//
// One [Recorder] belongs to the process, with one set of attached programs, and each test that runs has a [Recording] in it.
// An event passes these stages, in this order:
//
//   - decode (events_linux.go): an event of package probe becomes an answer, a question, a client hint or a flow;
//   - attribute (attribute_linux.go): a flow belongs to the recording of the goroutine or the child process that opened it;
//   - identify (events_linux.go, package endpoint): what is known at once of the other end, before processes are gone;
//   - correlate (client_hint_linux.go, disambiguate_linux.go, failed_lookup_linux.go): names of DNS, TLS and HTTP;
//   - resolve (resolve_linux.go, locate_linux.go, owner_linux.go, destination_linux.go): when a test has ended, the
//     containers at both ends, which test they belong to, and what of it is infrastructure.
//
// The result is a [recording.Recording]. The package knows no policies and no golden files, and never fails a test itself. It
// refuses to guess: what it cannot tell is an error or a notice.
package recorder

import (
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Options says which test a recording is of, and what the user has said of workloads and destinations.
type Options struct {
	Test    string // the test's name, or that of the package's run
	Package bool   // it is the recording of a whole package

	// Workload, Namespace and Labels are those of the workload that the test process stands for. Namespace is that of
	// containers too which have none of their own.
	Workload  string
	Namespace string
	Labels    map[string]string

	Driver   bool // the test process is no workload
	Binaries bool // the programs that open flows have to be known

	Peers          []endpoint.Peer
	ClusterDomains []string // besides cluster.local
	Ignored        endpoint.Ignored

	// ClusterName returns the workload that a DNS name with dots stands for, and false for the name of a host.
	ClusterName func(name string) (flow.Endpoint, bool)

	// FixedPort reports whether the user has said that a flow goes to a port that does not change.
	FixedPort func(flow.Flow) bool

	// Announce prints a line that a person has to see without -v.
	Announce func(text string)
}

// includes reports whether one test is another's subtest: sharing flows is what they are for.
func includes(parent, test string) bool { return strings.HasPrefix(test, parent+"/") }
