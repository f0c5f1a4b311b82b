package page

import (
	"slices"
	"strconv"

	"github.com/netzero-dev/netzero/internal/report"
)

// Flow is a flow of a run for JSON, whatever tests opened it. Its texts hold no control characters. Lists are never
// null.
type Flow struct {
	Source      End    `json:"source"`
	Destination End    `json:"destination"`
	Protocol    string `json:"protocol"`       // "TCP", "UDP", the message of ICMP; "lookup" for a name without a flow
	Port        int    `json:"port,omitempty"` // of the destination; absent for protocols without ports
	Verdict     string `json:"verdict"`        // the worst of the tests; one of Verdicts
	New         bool   `json:"new"`            // no committed policy allowed the flow before the run
	Implied     bool   `json:"implied"`        // not observed: an observed flow needs it in a cluster
	Count       uint64 `json:"count"`          // connections for TCP, and datagrams for all other protocols
	WouldRefuse uint64 `json:"wouldRefuse"`    // those that the kernel refuses to tests with the option Enforce
	Refused     uint64 `json:"refused"`        // those that it refused
	// FirstMicros is when the flow was first seen, in microseconds since the first recording of the run began, or since
	// its own recording began if a recording of the run does not say when that was.
	FirstMicros int64         `json:"firstMicros"`
	Tests       []Observation `json:"tests"` // at least one
	// Requests are what clients sent over the flow, the worst verdict first. Only tests with the option Requests record
	// them. Opaque says why there may be more: "TLS".
	Requests []Request `json:"requests"`
	Opaque   string    `json:"opaque,omitempty"`
}

// Request is a kind of request, whatever tests sent it.
type Request struct {
	Protocol string `json:"protocol"`        // "HTTP", "gRPC" or "Kafka"
	Method   string `json:"method"`          // "POST"; of Kafka "produce", "fetch", "create", "alter" or "delete"
	Path     string `json:"path,omitempty"`  // of HTTP, without the query
	Topic    string `json:"topic,omitempty"` // of Kafka
	Verdict  string `json:"verdict"`         // the worst of the tests; one of Verdicts
	Policy   string `json:"policy,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// End is an end of a flow.
type End struct {
	Name string `json:"name"` // as the page shows it
	Kind string `json:"kind"` // "workload", "resolver", "API server", "external", "address" or "anyone"
}

// Observation is a flow in one test.
type Observation struct {
	Package  string `json:"package"` // the import path; empty if unknown
	Test     string `json:"test"`
	Verdict  string `json:"verdict"`          // one of Verdicts
	Policy   string `json:"policy,omitempty"` // that allows the flow, or isolates the workload that it denies
	Reason   string `json:"reason,omitempty"` // the rule, or the nearest rule and how it differs
	Evidence []Fact `json:"evidence"`         // how the flow was opened
}

// Fact is a name and a value, as the failure text of a test shows them: "at" is a line of Go, "by" a process. A name
// may occur several times.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Verdicts returns the verdicts on flows, the worst first.
func Verdicts() []string { return slices.Clone(verdictNames[:]) }

// Flows returns the flows of a run, in the order of the page: the worst verdict first.
func Flows(run Run) []Flow {
	m := newModel(run)
	all := []Flow{}
	for _, one := range m.Rows {
		number, _ := strconv.Atoi(one.Port) // empty, or "any"
		f := Flow{
			Source: m.end(one.From), Destination: m.end(one.To), Protocol: one.Protocol, Port: number,
			Verdict: one.Verdict.String(), New: one.New, Implied: one.Implied, Count: one.Count,
			WouldRefuse: one.WouldRefuse, Refused: one.Refused,
			FirstMicros: one.First.Microseconds(), Tests: []Observation{},
			Requests: []Request{}, Opaque: one.Opaque,
		}
		for _, r := range one.Requests {
			f.Requests = append(f.Requests, Request{
				Protocol: r.Protocol.String(), Method: report.Line(r.Method), Path: report.Line(r.Path),
				Topic: report.Line(r.Topic), Verdict: r.Verdict.String(), Policy: r.Reason.Policy, Reason: r.Reason.Text,
			})
		}
		for _, o := range one.Seen {
			t := Observation{
				Package: m.Tests[o.Test].Package, Test: m.Tests[o.Test].Name, Verdict: o.Verdict.String(),
				Policy: o.Reason.Policy, Reason: o.Reason.Text, Evidence: []Fact{},
			}
			for _, fact := range o.Facts {
				t.Evidence = append(t.Evidence, Fact(fact))
			}
			f.Tests = append(f.Tests, t)
		}
		all = append(all, f)
	}
	return all
}

func (m *model) end(i int) End { return End{m.Nodes[i].Label, m.Nodes[i].Kind.String()} }

// PolicyFile is a golden file for JSON, with what its tests needed of it. Its texts hold no control characters. Lists
// are never null.
type PolicyFile struct {
	Package     string   `json:"package"` // the import path; empty if unknown
	Golden      string   `json:"golden"`  // relative to the directory of the package
	Tests       []string `json:"tests"`
	Missing     bool     `json:"missing"`     // no policy is committed
	Failed      bool     `json:"failed"`      // a test fails because of it
	Rules       []Rule   `json:"rules"`       // those that allowed flows
	Unused      []string `json:"unused"`      // rules that none of the tests needed
	NotIsolated []string `json:"notIsolated"` // a line for each workload that no policy isolates
	Accept      []string `json:"accept"`      // the commands that accept the recordings, if a test fails
}

// Rule is a rule of a policy that allowed flows.
type Rule struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	Flows  int    `json:"flows"` // distinct ones
	Count  uint64 `json:"count"` // their connections and datagrams
}

// Policies returns the golden files of a run, in the order of its results.
func Policies(run Run) []PolicyFile {
	list := func(texts []string) []string { return append([]string{}, texts...) }
	all := []PolicyFile{}
	for _, f := range policyFiles(run) {
		one := PolicyFile{
			Package: f.Package, Golden: f.Golden, Tests: list(f.Tests), Missing: f.Missing, Failed: f.Failed,
			Rules: []Rule{}, Unused: list(f.Unused), NotIsolated: list(f.NotIsolated), Accept: list(f.Accept),
		}
		for _, r := range f.Rules {
			one.Rules = append(one.Rules, Rule{r.Policy, r.Text, r.Flows, r.Count})
		}
		all = append(all, one)
	}
	return all
}
