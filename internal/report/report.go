// Package report says what a person or a CI reads when a test ends: which flows the committed policy does not allow,
// who opened them, and what to type to accept them.
//
// It opens no file and decides nothing: what is denied, unused or lost, its caller knows. It refuses to print control
// characters, whatever a process or a DNS server puts into a name, and prints no colours. It imports the standard
// library and package flow only.
package report

import (
	"net/netip"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Denied is a flow that the committed policy does not allow.
type Denied struct {
	Flow   flow.Flow    // folded, by flow.Fold
	Addrs  []netip.Addr // every address behind the destination, sorted
	Policy string       // the policy that denies it; empty where none in particular does
	Reason string       // why, as package policy words it
	Told   string       // the test that told the same flow in full before, where tests share a file; empty elsewhere
	Owner  string       // what the owner of an address without a name calls it; empty where they call it nothing
}

// Binary is a program that opened what the committed policy allows, and that its list of programs does not hold.
type Binary struct {
	Flow   flow.Flow // the first of those flows, with the program's process
	More   int       // of them
	Told   string    // the test that reported the same program for the same flow before; see Denied
	Reason string    // what the list holds, as package policy words it
}

// Report is what one recording came to. The zero value of a field means that there is nothing of the kind.
type Report struct {
	Test     string // as testing.TB.Name gives it
	Golden   string // the golden file, as its user would type it: relative, where it can be
	Workload string // the name of the test process as a workload
	Module   string // the path of the user's module, whose calls a flow's stack is shown by

	Denied      []Denied // sorted, as flow.Fold leaves them
	Binaries    []Binary // sorted as their flows are; they fail the test
	Unprotected []string // which workloads the golden file does not isolate, and why: there it could never fail
	Protected   bool     // with Unprotected: there are others that it does isolate
	Unused      []string // the rules that no flow needed
	Strict      bool     // an unused rule fails the test
	Unanswered  []string // attempts at this machine where nobody listened; they fail the test
	Missing     bool     // there is no golden file
	MissingTold string   // with Missing: the test that reported it before, with all that this recording would have written
	Proposed    string   // with Missing: the text of the file that this recording would have written
	Diff        string   // between the committed and the recorded policies, as golden.Diff gives it
	Notices     []string // what is worth knowing, and fails nothing
	Accept      string   // the command that accepts this recording
	Neighbour   string   // the test that ran when the flows were seen: Test had ended, and left behind who opened them
	Lost        string   // what of the recording is lost, in a line; such a recording can neither pass nor be accepted
}

// Failed reports whether the test fails. Notices, and unused rules unless Strict, do not fail it; nor does a
// difference of texts alone.
func (r Report) Failed() bool {
	return r.Lost != "" || len(r.Unanswered) > 0 || r.acceptable()
}

// acceptable reports whether something failed that an update mends.
func (r Report) acceptable() bool {
	return r.Missing || len(r.Unprotected) > 0 || len(r.Denied) > 0 || len(r.Binaries) > 0 || r.Strict && len(r.Unused) > 0
}
