package report

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Result is the report of one recording, with what a CI shows besides.
type Result struct {
	Report
	Package string           // the import path of the package under test; empty if unknown
	Flows   []flow.Flow      // of the recording, as policies see them, in any order
	Losses  []recording.Loss // of the recording
	Tree    Tree
}

// Tree is where files are in the repository. Its paths have slashes and are relative to the root of the repository,
// which is ".". The zero value means that nothing is known.
type Tree struct {
	Module  string           // the directory of the user's module
	Package string           // the directory of the package under test
	Golden  string           // the golden file; empty if it is outside of the repository
	Tests   map[string]Place // the functions of the package's tests, and TestMain, by name
}

// Place is a line of a file in the repository.
type Place struct {
	File string // relative to the root of the repository, with slashes; empty if unknown
	Line int    // from 1 on; 0 if unknown
}

// Finding is one thing that a reviewer has to know, with the line of the source that it is about. Its texts hold no
// control characters, except for line ends in Text.
type Finding struct {
	Rule  Rule
	Fails bool // the test fails
	Place Place
	Title string // one line
	Text  string // one or more lines, without a trailing line end

	subject string // what it is about, the same in each run: a flow, a rule
}

// Rule is the kind of a finding.
type Rule string

// The kinds of findings.
const (
	NewFlow       Rule = "new-flow"
	NewRequest    Rule = "new-request"
	RefusedFlow   Rule = "refused-flow"
	NewProgram    Rule = "new-program"
	MissingPolicy Rule = "missing-policy"
	InvalidPolicy Rule = "invalid-policy"
	Unprotected   Rule = "unprotected"
	UnusedRule    Rule = "unused-rule"
	Unanswered    Rule = "unanswered"
	Incomplete    Rule = "incomplete"
)

// ruleDescription says in a sentence what the findings of a rule are about.
type ruleDescription struct {
	rule Rule
	text string
}

// rules are all kinds of findings.
var rules = []ruleDescription{
	{NewFlow, "A test opened a network flow that its committed network policy does not allow."},
	{NewRequest, "A test sent a request that its committed network policy does not allow, over an allowed flow."},
	{RefusedFlow, "The kernel refused a network flow that the committed network policy does not deny."},
	{NewProgram, "A program opened a network flow and is not in the committed list of programs."},
	{MissingPolicy, "No network policy is committed for a recorded test."},
	{InvalidPolicy, "The committed network policy has a mistake, or belongs to others, so that it cannot be used."},
	{Unprotected, "The committed network policies do not isolate a workload, so that no flow of it can fail the test."},
	{UnusedRule, "No recorded flow needed a rule of the committed network policy."},
	{Unanswered, "A test tried to reach a port of its machine at which no process listened."},
	{Incomplete, "A recording lost events, so that it may lack flows."},
}

// Findings returns what a reviewer has to know, the most serious first. Another test's report has the flows, programs
// and unused rules that this report only refers to, so they are left out. So are notices, and command lines of
// processes, which may hold secrets: findings are published.
func (r Result) Findings() []Finding {
	var all []Finding
	add := func(rule Rule, fails bool, place Place, title, subject string, lines ...string) {
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
		all = append(all, Finding{rule, fails, place, clean(r.Test) + ": " + title, strings.Join(lines, "\n"), subject})
	}
	policy := "policy: " + clean(r.Golden)
	accept := ""
	if r.Accept != "" && r.acceptable() && r.Lost == "" {
		accept = "To accept: " + clean(r.Accept)
	}
	if r.Lost != "" {
		add(Incomplete, true, r.testPlace(""), "recording incomplete", "", clean(oneLine(r.Lost)))
	}
	if r.Unusable != "" && r.UnusableReportedBy == "" {
		add(InvalidPolicy, true, r.faultPlace(), "the committed policy cannot be used", "",
			clean(oneLine(r.Unusable)), policy)
	}
	if r.Missing && r.MissingReportedBy == "" {
		add(MissingPolicy, true, r.testPlace(""), "no committed policy", "", policy, accept)
	}
	for _, reason := range r.Unprotected {
		add(Unprotected, true, r.goldenPlace(), "not protected", reason, clean(reason), accept)
	}
	for _, d := range r.dependencies() {
		if d.ReportedBy == "" && d.counted() {
			ends := d.title(r.Workload)
			if d.isRequest() {
				// Neither the title nor the subject has the request: it may hold an id that differs from run to run.
				add(NewRequest, true, r.place(d.Flow.Process), "unexpected request "+ends, ends, d.requests[0], d.also(),
					"denied: "+reason(d.Denied), openedBy(d.Flow, r.Module), policy, accept)
				continue
			}
			add(NewFlow, true, r.place(d.Flow.Process), "unexpected flow "+ends, ends,
				r.enforced(d.Flow), "denied: "+reason(d.Denied), openedBy(d.Flow, r.Module), policy, accept)
		}
	}
	for _, one := range r.Refused {
		ends := dependency{Denied: Denied{Flow: one.Flow}}.title(r.Workload)
		add(RefusedFlow, true, r.place(one.Flow.Process), "refused flow "+ends, ends,
			r.enforced(one.Flow), clean(one.Reason), openedBy(one.Flow, r.Module), policy)
	}
	for _, b := range r.Binaries {
		if b.ReportedBy == "" {
			name, ends := program(b.Flow.Process), ends(b.Flow.Source.String(), b.Flow.Target())
			add(NewProgram, true, r.place(b.Flow.Process), "unexpected program "+name, name+" "+ends,
				ends+": "+clean(b.reason()), policy, accept)
		}
	}
	for _, attempt := range r.Unanswered {
		add(Unanswered, true, r.testPlace(""), "unanswered attempt", attempt, clean(attempt))
	}
	for _, rule := range r.unused() {
		add(UnusedRule, r.Strict, r.goldenPlace(), "unused rule", rule, clean(rule), policy)
	}
	return all
}

// place returns the call in the user's module that opened a flow, or else the test.
func (r Result) place(p flow.Process) Place {
	i := slices.IndexFunc(p.Stack, func(f flow.Frame) bool { return isOwn(f, r.Module) })
	if i < 0 || r.Tree.Module == "" {
		return r.testPlace(p.Test)
	}
	file := path.Join(r.Tree.Module, clean(fileOf(p.Stack[i], r.Module)))
	if !isInside(file) {
		return r.testPlace(p.Test)
	}
	return Place{file, max(p.Stack[i].Line, 0)}
}

// testPlace returns the function of a test, or of the report's test if the name is empty. For the recording of a
// package that is TestMain. If none is known it returns the place of the golden file.
func (r Result) testPlace(name string) Place {
	if name == "" {
		name = r.Test
	}
	top, _, _ := strings.Cut(name, "/")
	if p, known := r.Tree.Tests[top]; known {
		return p
	}
	if p, known := r.Tree.Tests["TestMain"]; known && strings.HasPrefix(r.Test, "package ") {
		return p
	}
	return r.goldenPlace()
}

func (r Result) goldenPlace() Place { return Place{File: r.GoldenFile()} }

// faultPlace returns the line of the golden file for which the file cannot be used, or the place of the test if the
// file is not in the repository.
func (r Result) faultPlace() Place {
	if file := r.GoldenFile(); file != "" {
		return Place{file, r.UnusableLine}
	}
	return r.testPlace("")
}

// GoldenFile returns the path of the golden file in the repository, or "".
func (r Result) GoldenFile() string {
	file := path.Clean(clean(r.Tree.Golden))
	if r.Tree.Golden == "" || path.IsAbs(file) || !isInside(file) {
		return ""
	}
	return file
}

// isInside reports whether a clean relative path does not leave its directory.
func isInside(file string) bool { return file != ".." && !strings.HasPrefix(file, "../") }

// Attribute is a name and a value about a test, in one line without control characters.
type Attribute struct{ Name, Value string }

// Attributes returns the result in numbers, for testing.TB.Attr and the properties of JUnit.
func (r Result) Attributes() []Attribute {
	all := []Attribute{
		{"netzero.golden", cmp.Or(r.GoldenFile(), clean(r.Golden))},
		{"netzero.flows", strconv.Itoa(len(flow.Fold(r.Flows)))},
		{"netzero.denied", strconv.Itoa(sizeOf(r.dependencies()))},
		{"netzero.unused", strconv.Itoa(len(r.Unused))},
	}
	if r.Enforced {
		all = append(all, Attribute{"netzero.refused", strconv.Itoa(r.refusedDenied() + len(r.Refused))})
	}
	return all
}

// openedBy returns the program that opened a flow, and where in the code; "" if neither is known.
func openedBy(f flow.Flow, module string) string {
	if at := Caller(f.Process.Stack, module); at != "" {
		return "opened at " + at
	}
	if name := program(f.Process); name != "" {
		return "opened by " + name
	}
	return ""
}

// program returns the name of a process and its container, without its number, which changes from run to run, and
// without its command line.
func program(p flow.Process) string {
	name := shorten(clean(p.Name), maxName)
	switch in := container(p); {
	case in == "":
		return name
	case name == "":
		return in
	default:
		return name + " in " + in
	}
}

// ends returns both ends of a flow in one line.
func ends(source, target string) string { return clean(source) + " -> " + clean(target) }

// oneLine returns the text of an error, which may be of errors.Join, as one line.
func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }
