package page

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// policyFile is a golden file with what its tests needed of it.
type policyFile struct {
	Package, Golden string // the packages of the tests, with commas; the path from the only package, or the repository
	Tests           []string
	Missing, Failed bool
	Rules           []rule
	Unused          []string // rules that none of the tests needed
	NotIsolated     []string
	Diffs           []diff
	Accept          []string // commands
	Open            bool     // unfolded: there is something to review, and not much of it
}

// rule is what allowed flows.
type rule struct {
	Policy, Text string
	Flows        int
	Count        uint64 // connections and datagrams
}

// diff is the difference between the committed and the recorded policies of a test.
type diff struct {
	Test  string
	Lines []diffLine
}

// diffLine is a line of a diff; its class is "added", "removed", "hunk" or "".
type diffLine struct{ Class, Text string }

// policyFiles returns the golden files of a run, in the order of its results.
func policyFiles(run Run) []policyFile {
	type name struct{ pkg, golden string }
	groups := make(map[name][]Result)
	var order []name
	for _, r := range run.Results {
		n := name{r.Package, r.Golden}
		if file := r.GoldenFile(); file != "" { // packages may share it
			n = name{golden: file}
		}
		if groups[n] == nil {
			order = append(order, n)
		}
		groups[n] = append(groups[n], r)
	}
	var files []policyFile
	for _, n := range order {
		files = append(files, newPolicyFile(groups[n]))
	}
	for i, f := range files {
		files[i].Open = (f.Failed || len(f.Unused) > 0) && len(files) <= maxOpen
	}
	return files
}

// maxOpen is the highest number of golden files with which some are unfolded.
const maxOpen = 12

// newPolicyFile returns the golden file of results.
func newPolicyFile(results []Result) policyFile {
	file := policyFile{Package: report.Line(results[0].Package), Golden: report.Line(results[0].Golden)}
	hits := newHits()
	for i, r := range results {
		if pkg := report.Line(r.Package); !slices.Contains(strings.Split(file.Package, ", "), pkg) {
			file.Package, file.Golden = file.Package+", "+pkg, report.Line(r.GoldenFile())
		}
		if name := report.Line(r.Test); !slices.Contains(file.Tests, name) { // one test may have several recordings
			file.Tests = append(file.Tests, name)
		}
		file.Missing = file.Missing || r.Missing
		file.Failed = file.Failed || r.Failed()
		hits.add(r)
		if i == 0 {
			file.Unused = lines(r.Unused)
		} else { // a rule that one of the tests needed is used
			file.Unused = slices.DeleteFunc(file.Unused, func(u string) bool { return !slices.Contains(lines(r.Unused), u) })
		}
		for _, text := range lines(r.Unprotected) {
			if !slices.Contains(file.NotIsolated, text) {
				file.NotIsolated = append(file.NotIsolated, text)
			}
		}
		d := diff{report.Line(r.Test), diffLines(r.Diff)}
		isKnown := slices.ContainsFunc(file.Diffs, func(o diff) bool {
			return o.Test == d.Test && slices.Equal(o.Lines, d.Lines)
		})
		if r.Diff != "" && !isKnown {
			file.Diffs = append(file.Diffs, d)
		}
		if accept := report.Line(r.Accept); r.Failed() && r.Lost == "" && accept != "" &&
			!slices.Contains(file.Accept, accept) {
			file.Accept = append(file.Accept, accept)
		}
	}
	file.Rules = hits.sorted()
	return file
}

// lines returns texts as printable lines.
func lines(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, report.Line(text))
	}
	return all
}

// diffLines returns the lines of a diff after its header.
func diffLines(text string) []diffLine {
	var all []diffLine
	for line := range strings.Lines(text) {
		line = report.Line(strings.TrimSuffix(line, "\n"))
		class := ""
		switch {
		case strings.HasPrefix(line, "(-"), strings.HasPrefix(line, "@@"):
			class = "hunk"
		case strings.HasPrefix(line, "+"):
			class = "added"
		case strings.HasPrefix(line, "-"):
			class = "removed"
		}
		all = append(all, diffLine{class, line})
	}
	return all
}

// hits counts the flows that rules allowed when tests were compared with their golden file.
type hits struct {
	rules map[rule]*rule // by policy and text
	seen  map[hit]bool
}

// hit is a flow that a rule allowed.
type hit struct {
	rule rule
	flow identity
}

func newHits() *hits { return &hits{make(map[rule]*rule), make(map[hit]bool)} }

// add adds the flows of a recording that the golden file still allows. A flow that several tests have counts once.
func (h *hits) add(r Result) {
	if r.Missing || r.Lost != "" || r.Unusable != "" {
		return
	}
	unexpected := r.unexpected()
	for _, c := range compared(r.File) {
		if _, isDenied := unexpected[identityOf(c.flow)]; isDenied {
			continue
		}
		for _, name := range rulesOf(c.Verdict) {
			h.count(name, c.flow)
		}
	}
}

// rulesOf returns the rules that allowed a flow or its requests, each once.
func rulesOf(v recording.Verdict) []rule {
	verdicts := v.Requests
	if len(verdicts) == 0 {
		verdicts = []recording.Verdict{v}
	}
	var all []rule
	for _, v := range verdicts {
		name := rule{Policy: report.Line(v.Policy), Text: report.Line(v.Reason)}
		if v.Outcome == recording.OutcomeAllowed && v.Reason != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// count counts a flow that a rule allowed.
func (h *hits) count(name rule, f flow.Flow) {
	one := h.rules[name]
	if one == nil {
		one = &rule{Policy: name.Policy, Text: name.Text}
		h.rules[name] = one
	}
	one.Count += f.Count
	if k := (hit{name, identityOf(f)}); !h.seen[k] {
		h.seen[k] = true
		one.Flows++
	}
}

// sorted returns the rules by policy, in the order of their numbers.
func (h *hits) sorted() []rule {
	var all []rule
	for _, one := range h.rules {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.index(), b.index()), cmp.Compare(a.Text, b.Text))
	})
	return all
}

// index returns the number of a rule that is described as "rule 12 (pods app=db)", or else 0.
func (r rule) index() int {
	text, _ := strings.CutPrefix(r.Text, "rule ")
	digits, _, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(digits)
	return n
}

// comparison is a flow and the verdict on it when its test ran.
type comparison struct {
	recording.Verdict
	flow flow.Flow
}

// compared returns the flows of a recording that its test compared with the golden file, and those that they imply.
func compared(file recording.File) []comparison {
	if file.Check == nil {
		return nil
	}
	placed, err := recording.ToFlows(file.Placed.Flows)
	implied, impliedErr := recording.ToFlows(file.Check.Implied)
	flows := slices.Concat(placed, implied)
	if err != nil || impliedErr != nil || len(flows) != len(file.Check.Verdicts) {
		return nil // recording.Read refuses such a file
	}
	var all []comparison
	for i, f := range flows {
		all = append(all, comparison{file.Check.Verdicts[i], f})
	}
	return all
}

// requestVerdicts returns the verdicts on the requests of flows when the test of a recording ran.
func requestVerdicts(file recording.File) map[identity]map[flow.Request]recording.Verdict {
	all := make(map[identity]map[flow.Request]recording.Verdict)
	for _, c := range compared(file) {
		id := identityOf(c.flow)
		for i, r := range c.flow.Requests[:min(len(c.flow.Requests), len(c.Requests))] {
			if all[id] == nil {
				all[id] = make(map[flow.Request]recording.Verdict)
			}
			if kind := kindOf(r); all[id][kind].Outcome == "" {
				all[id][kind] = c.Requests[i]
			}
		}
	}
	return all
}

// verdicts returns the verdicts on the flows of a recording when its test ran. Of flows that are alike to policies, the
// first counts.
func verdicts(file recording.File) map[identity]recording.Verdict {
	all := make(map[identity]recording.Verdict)
	for _, c := range compared(file) {
		if id := identityOf(c.flow); all[id].Outcome == "" {
			all[id] = c.Verdict
		}
	}
	return all
}
