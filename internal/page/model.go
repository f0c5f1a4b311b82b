package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// verdict is what the committed policies do to a flow, the worst first.
type verdict int

const (
	denied      verdict = iota // also what no policy can allow
	noPolicy                   // no policy is committed
	notCompared                // the recording is incomplete, or the golden file cannot be used
	unprotected                // no policy isolates the ends
	allowed
)

// verdictNames are the words of the page, which its filter knows.
var verdictNames = [...]string{"denied", "no policy", "not compared", "unprotected", "allowed"}

func (v verdict) String() string { return verdictNames[v] }

// Class returns the name of the verdict in the style sheet.
func (v verdict) Class() string { return strings.ReplaceAll(v.String(), " ", "-") }

// model is the results of a run, folded for the page.
type model struct {
	Summary summary
	Nodes   []node
	Rows    []row
	Tests   []test
	Files   []policyFile
	Notices []note
	// Problems fail tests: losses, golden files with mistakes, programs that no list has, attempts that nobody answered.
	Problems []note
	Tabs     []tab

	// Domains are nodes of the graph that stand for several others. groups has the index of each of these, and that of its
	// domain, which counts on from the nodes.
	Domains []node
	groups  map[int]int

	started time.Time // of the run's first recording; zero unless each recording says when it started
}

// summary counts the results of a run.
type summary struct {
	Tests, Failed, Flows, Denied, New, Unused int
	Refused                                   int    // flows
	Incomplete                                int    // recordings
	Lost                                      uint64 // events
}

// node is an end of flows.
type node struct {
	Label string
	Kind  flow.Kind
}

// row is a flow of a run, whatever tests opened it.
type row struct {
	From, To       int // indexes of nodes
	Port, Protocol string
	Verdict        verdict // the worst
	New            bool    // no committed policy allowed the flow before the run
	Count          uint64
	WouldRefuse    uint64        // attempts that the kernel refuses to tests with the option Enforce
	Refused        uint64        // attempts that the kernel refused
	First          time.Duration // since the run, or else the recording, started
	Implied        bool          // not observed: an observed flow needs it in a cluster
	Tests          []int         // indexes, ascending
	Seen           []observation // in the order of tests
	Requests       []request     // the worst verdict first
	Opaque         string        // why there may be more requests; empty if there are none, or they were not read
}

// observation is a flow in one test.
type observation struct {
	Test    int
	Verdict verdict
	Reason  reason
	Facts   []report.Attribute // how the flow was opened
}

// test is one recording.
type test struct {
	Package, Name, Outcome string
	// Recording distinguishes the recordings of one test: "recording 2 of 3, begun 2026-03-04 09:00:00 UTC". It is empty
	// if there is only one.
	Recording             string
	Failed                bool
	Flows, Denied, Unused int
}

// reason is why a flow has its verdict, as printable lines. Either may be empty.
type reason struct{ Policy, Text string }

// String names the policy before the reason.
func (r reason) String() string {
	if r.Policy == "" || r.Text == "" {
		return r.Text
	}
	return "policy " + r.Policy + ": " + r.Text
}

// note is a line about tests.
type note struct {
	Code, Text string
	Tests      []string
}

// tab is a button that filters the flows.
type tab struct {
	Name  string // "all", "new", "refused", or that of a verdict
	Count int
}

// key has the fields that distinguish flows on the page.
type key struct {
	from, to int
	protocol flow.Protocol
	port     uint16
	icmpType uint8
	lookup   bool
}

// identity has the fields of a flow that distinguish it for policies.
type identity struct {
	source, destination flow.Endpoint
	protocol            flow.Protocol
	port                uint16
	icmpType            uint8
	lookup              bool
}

func identityOf(f flow.Flow) identity {
	return identity{f.Source.Identity(), f.Destination.Identity(), f.Protocol, f.Port, f.ICMPType, f.Lookup}
}

func newModel(run Run) *model {
	m := &model{started: started(run)}
	nodes := make(map[node]int)
	rows := make(map[key]int)
	notices, problems := newNotes(), newNotes()
	recordings := distinguished(run)
	for i, r := range run.Results {
		t := test{
			Package: report.Line(r.Package), Name: report.Line(r.Test), Outcome: r.Outcome(), Failed: r.Failed(),
			Recording: recordings[i], Unused: len(r.Unused),
		}
		for _, f := range r.flows() {
			t.Flows++
			if f.verdict == denied {
				t.Denied++
			}
			m.add(nodes, rows, i, f)
		}
		m.Tests = append(m.Tests, t)
		for _, n := range r.Notices {
			notices.add(string(n.Code), n.Text, t.Name)
		}
		for _, l := range r.Losses {
			text := number(l.Count) + " " + l.What
			if l.Remedy != "" {
				text += ": " + l.Remedy
			}
			problems.add("lost", text, t.Name)
			m.Summary.Lost += l.Count
		}
		if r.Lost != "" {
			problems.add("incomplete", r.Lost, t.Name)
			m.Summary.Incomplete++
		}
		if r.Unusable != "" {
			problems.add("unusable policy", r.Unusable, t.Name)
		}
		for _, b := range r.Binaries {
			problems.add("unexpected program", b.Notice(), t.Name)
		}
		for _, f := range r.Refused {
			problems.add("refused", f.Flow.Source.String()+" -> "+f.Flow.Target()+": "+f.Reason, t.Name)
		}
		for _, text := range r.Unanswered {
			problems.add("unanswered", text, t.Name)
		}
		m.Summary.Tests++
		if t.Failed {
			m.Summary.Failed++
		}
	}
	m.sort()
	m.group()
	m.Notices, m.Problems = notices.list, problems.list
	m.Files = policyFiles(run)
	for _, file := range m.Files {
		m.Summary.Unused += len(file.Unused)
	}
	m.count()
	return m
}

// distinguished returns for each result what distinguishes its recording from others of the same test, such as those of
// other machines.
func distinguished(run Run) []string {
	type name struct{ pkg, test string }
	total, seen := make(map[name]int), make(map[name]int)
	for _, r := range run.Results {
		total[name{r.Package, r.Test}]++
	}
	texts := make([]string, len(run.Results))
	for i, r := range run.Results {
		n := name{r.Package, r.Test}
		if total[n] == 1 {
			continue
		}
		seen[n]++
		texts[i] = fmt.Sprintf("recording %d of %d", seen[n], total[n])
		if s := r.File.Started; !s.IsZero() {
			texts[i] += ", begun " + moment(s)
		}
	}
	return texts
}

// moment returns a time as the page shows it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// started returns when the first recording of a run started, or zero if that is not known of each recording.
func started(run Run) time.Time {
	var first time.Time
	for i, r := range run.Results {
		if s := r.File.Started; i == 0 || s.Before(first) {
			first = s
		}
	}
	return first
}

// add adds a flow of a test.
func (m *model) add(nodes map[node]int, rows map[key]int, test int, f judged) {
	index := func(e flow.Endpoint) int {
		n := node{report.Line(e.String()), e.Kind}
		i, known := nodes[n]
		if !known {
			i = len(m.Nodes)
			nodes[n] = i
			m.Nodes = append(m.Nodes, n)
		}
		return i
	}
	k := key{index(f.Source), index(f.Destination), f.Protocol, f.Port, f.ICMPType, f.Lookup}
	first := f.First
	if !m.started.IsZero() {
		first += f.started.Sub(m.started)
	}
	i, known := rows[k]
	if !known {
		i = len(m.Rows)
		rows[k] = i
		number, protocol := port(f.Flow)
		m.Rows = append(m.Rows, row{
			From: k.from, To: k.to, Port: number, Protocol: protocol, Verdict: f.verdict, First: first, Implied: true,
		})
	}
	one := &m.Rows[i]
	if !f.implied {
		if one.Implied {
			one.First = first
		}
		one.First = min(one.First, first)
		one.Implied = false
		attempts := max(f.Count, 1)
		one.Count += attempts
		one.Refused += f.Refused
		if f.wouldRefuse {
			one.WouldRefuse += attempts
		}
	}
	one.Verdict = min(one.Verdict, f.verdict)
	one.New = one.New || f.isNew
	one.Tests = append(one.Tests, test)
	one.Seen = append(one.Seen, observation{test, f.verdict, f.reason, f.facts})
	one.addRequests(f)
}

// sort orders nodes by kind and label, and rows by verdict, those that are new first, and then by their ends.
func (m *model) sort() {
	order := make([]int, len(m.Nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(m.Nodes[a].Kind, m.Nodes[b].Kind), cmp.Compare(m.Nodes[a].Label, m.Nodes[b].Label))
	})
	place, sorted := make([]int, len(order)), make([]node, len(order))
	for i, old := range order {
		place[old], sorted[i] = i, m.Nodes[old]
	}
	m.Nodes = sorted
	for i := range m.Rows {
		one := &m.Rows[i]
		one.From, one.To = place[one.From], place[one.To]
	}
	slices.SortStableFunc(m.Rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To),
			cmp.Compare(len(a.Port), len(b.Port)), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol),
		)
	})
}

// rank is lower for worse verdicts, and then for new flows.
func (r row) rank() int {
	if r.New {
		return 2 * int(r.Verdict)
	}
	return 2*int(r.Verdict) + 1
}

// count counts the flows, and makes the tabs.
func (m *model) count() {
	byVerdict := make([]int, len(verdictNames))
	for _, one := range m.Rows {
		byVerdict[one.Verdict]++
		if one.New {
			m.Summary.New++
		}
		if one.Refused > 0 {
			m.Summary.Refused++
		}
	}
	m.Summary.Flows, m.Summary.Denied = len(m.Rows), byVerdict[denied]
	m.Tabs = []tab{{"all", len(m.Rows)}}
	if m.Summary.New > 0 {
		m.Tabs = append(m.Tabs, tab{"new", m.Summary.New})
	}
	if m.Summary.Refused > 0 {
		m.Tabs = append(m.Tabs, tab{"refused", m.Summary.Refused})
	}
	for v, n := range byVerdict {
		if n > 0 {
			m.Tabs = append(m.Tabs, tab{verdictNames[v], n})
		}
	}
}

// judged is a flow of a recording, with what the policies do to it.
type judged struct {
	flow.Flow
	verdict verdict
	reason  reason
	isNew   bool
	implied bool
	facts   []report.Attribute
	started time.Time

	requests []request

	wouldRefuse bool // the kernel refuses such a flow to a test with the option Enforce
}

// flows returns the flows of a recording, folded, and those that the denied ones imply.
func (r Result) flows() []judged {
	unexpected, before := r.unexpected(), verdicts(r.File)
	requests, requestsBefore := r.unexpectedRequests(), requestVerdicts(r.File)
	var all []judged
	judge := func(f flow.Flow, implied bool) {
		j := judged{Flow: report.Named([]flow.Flow{f}, r.Workload)[0], implied: implied, started: r.File.Started}
		why := j.judge(r, unexpected, before, identityOf(f))
		j.reason = reason{report.Line(why.Policy), report.Line(why.Text)}
		j.judgeRequests(requests[identityOf(f)], requestsBefore[identityOf(f)])
		if implied {
			j.facts = []report.Attribute{{Name: "implied", Value: "by other flows: pods resolve names over UDP and TCP"}}
		} else {
			j.facts = report.Facts(f, r.Module)
		}
		all = append(all, j)
	}
	for _, f := range flow.Fold(r.Flows) {
		judge(f, false)
		delete(unexpected, identityOf(f))
	}
	for _, d := range r.Denied {
		if _, isImplied := unexpected[identityOf(d.Flow)]; isImplied {
			judge(d.Flow, true)
		}
	}
	return all
}

// unexpected returns the flows that the golden file denies, but for those of which it denies only requests.
func (r Result) unexpected() map[identity]report.Denied {
	all := make(map[identity]report.Denied)
	for _, d := range r.Denied {
		if d.Request == (flow.Request{}) {
			all[identityOf(d.Flow)] = d
		}
	}
	return all
}

// judge sets the verdict on the flow, and returns the reason.
func (j *judged) judge(
	r Result, unexpected map[identity]report.Denied, before map[identity]recording.Verdict, id identity,
) reason {
	d, isDenied := unexpected[id]
	j.wouldRefuse = d.WouldRefuse
	old, known := before[id]
	switch {
	case r.Lost != "":
		j.verdict = notCompared
		return reason{Text: "the recording is incomplete"}
	case r.Unusable != "":
		j.verdict = notCompared
		return reason{Text: "the committed policy cannot be used: " + r.Unusable}
	case r.Missing:
		j.verdict, j.isNew = noPolicy, true
		return reason{Text: "no policy is committed"}
	case isDenied:
		j.verdict, j.isNew = denied, true
		return reason{d.Policy, cmp.Or(d.Reason, "no rule allows it")}
	case known && old.Outcome == recording.OutcomeUnprotected:
		j.verdict = unprotected
		return reason{Text: cmp.Or(old.Reason, "no policy isolates the ends of the flow")}
	case known && old.Outcome != recording.OutcomeAllowed:
		j.verdict, j.isNew = allowed, r.File.Check.Updated
		return reason{Text: "by the golden file as it is now; at the time of the test it was " + string(old.Outcome) +
			": " + old.Reason}
	}
	j.verdict = allowed
	return reason{old.Policy, old.Reason}
}

// port returns the port and the protocol of a flow, as the columns of the table show them.
func port(f flow.Flow) (number, protocol string) {
	switch {
	case f.Lookup:
		return "any", "lookup"
	case f.Protocol.IsICMP():
		return "", report.Line(f.Message())
	case !f.Protocol.HasPorts():
		return "", f.Protocol.String()
	}
	return strconv.Itoa(int(f.Port)), f.Protocol.String()
}

// notes collects lines that several tests may have.
type notes struct {
	list  []note
	index map[[2]string]int
}

func newNotes() *notes { return &notes{index: make(map[[2]string]int)} }

func (n *notes) add(code, text, test string) {
	code, text = report.Line(code), report.Line(text)
	i, known := n.index[[2]string{code, text}]
	if !known {
		i = len(n.list)
		n.index[[2]string{code, text}] = i
		n.list = append(n.list, note{Code: code, Text: text})
	}
	if !slices.Contains(n.list[i].Tests, test) {
		n.list[i].Tests = append(n.list[i].Tests, test)
	}
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(uint64(n)) + " " + noun
}

// number returns a number with commas between thousands.
func number(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
