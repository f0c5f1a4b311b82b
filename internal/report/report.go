// Package report writes the messages for a person or a CI at the end of a test: the flows that the committed policy
// does not allow, the processes that opened them, and the command that accepts them. A [Report] becomes a text for the
// log. A [Result], or several of a run, become Markdown, annotations of GitHub, JUnit, SARIF or metrics of Prometheus.
//
// It opens no file and makes no decision: its caller knows what is denied, unused or lost. It prints no colours and no
// control characters, whatever a process or a DNS server puts into a name. It imports only the standard library and
// packages recording and flow.
package report

import (
	"net/netip"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Denied is a flow, or one of its requests, that the committed policy does not allow.
type Denied struct {
	Flow    flow.Flow    // folded, by flow.Fold
	Request flow.Request // the request that is denied; zero if the flow is
	Addrs   []netip.Addr // every address behind the destination, sorted
	Policy  string       // the policy that denies it; empty if no particular one does
	Reason  string       // the reason, in the words of package policy
	// the test that reported the same flow in full before, if tests share a file; otherwise empty
	ReportedBy string
	ReverseDNS string // the reverse-DNS name of an address without a name; empty if there is none
	// the kernel refuses such a flow if the test has the option Enforce; Flow.Refused says if it did
	WouldRefuse bool
}

// Binary is a program that opened an allowed flow but is missing from the committed list of programs.
type Binary struct {
	Flow       flow.Flow // the first of those flows, with the program's process
	More       int       // the number of further ones
	ReportedBy string    // the test that reported the same program for the same flow before; see Denied
	Reason     string    // the content of the list, in the words of package policy
}

// Report is the result of one recording. The zero value of a field means none of its kind.
type Report struct {
	Test     string // as testing.TB.Name gives it
	Golden   string // the path of the golden file as its user would type it, relative if possible
	Workload string // the name of the test process as a workload
	Module   string // the path of the user's module; a flow's stack shows calls in it

	Enforced bool      // the kernel refused what the golden file does not allow
	Denied   []Denied  // sorted, as flow.Fold returns them; those of one flow together
	Refused  []Refused // sorted likewise; they fail the test
	Binaries []Binary  // sorted like their flows; they fail the test
	// workloads that the golden file does not isolate, with the reason: for them it could never fail
	Unprotected []string
	Protected   bool     // with Unprotected: it isolates others
	Unused      []string // rules that no flow needed
	// with Unused: the test whose report has the same rules, if tests share the file; otherwise empty
	UnusedReportedBy string
	Strict           bool     // an unused rule fails the test
	Unanswered       []string // attempts to reach this machine at a port without a listener; they fail the test
	Missing          bool     // there is no golden file
	// with Missing: the test that reported it before, with everything that this recording would have written
	MissingReportedBy string
	Proposed          string             // with Missing: the content of the file that this recording would have written
	Diff              string             // between the committed and the recorded policies, from golden.Diff
	Notices           []recording.Notice // they do not fail the test
	Accept            string             // the command that accepts this recording
	// the test that ran when the flows were seen: Test had ended and left behind the process that opened them
	RunningTest string
	Lost        string // one line about what the recording lost; such a recording can neither pass nor be accepted
	// why the golden file cannot be used, such as its first mistake; then nothing was compared
	Unusable     string
	UnusableLine int // the line of the golden file that Unusable is about; 0 if there is none
	// with Unusable: the test whose report has the same fault, if tests share the file; otherwise empty
	UnusableReportedBy string
}

// Failed reports whether the test fails. Notices, unused rules without Strict, and a mere difference of texts do not
// fail it.
func (r Report) Failed() bool {
	return r.Lost != "" || r.Unusable != "" || len(r.Refused) > 0 || len(r.Unanswered) > 0 || r.acceptable()
}

// acceptable reports whether an update would fix a failure.
func (r Report) acceptable() bool {
	return r.Missing || len(r.Unprotected) > 0 || len(r.Denied) > 0 || len(r.Binaries) > 0 ||
		r.Strict && len(r.Unused) > 0
}
