package report

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/internal/recording"
)

const (
	maxBlocks    = 20  // printed flows, rules or notices; the others are counted
	maxDiffLines = 120 // a longer diff is for a diff tool, after -update
)

// String returns the failure text without a trailing newline, or "" if the test does not fail. It is meant for
// testing.TB.Error, which indents it by 8.
func (r Report) String() string {
	if !r.Failed() {
		return ""
	}
	var w writer
	w.line(0, fmt.Sprintf("netzero: %s: %s (policy %s)", clean(r.Test), strings.Join(r.verdicts(), ", "),
		clean(r.Golden)))
	if r.hasRefusals() {
		w.gap()
		w.paragraph(explainRefusal)
	}
	if r.Lost != "" {
		w.gap()
		w.paragraph("recording incomplete: " + oneLine(r.Lost))
		w.paragraph("A lost event may be a flow that the policy does not allow. Therefore the test fails, and this run " +
			"writes no policy.")
	}
	if r.Unusable != "" {
		w.gap()
		w.paragraph("the committed policy cannot be used, so nothing was compared: " + oneLine(r.Unusable))
	}
	if r.RunningTest != "" {
		w.gap()
		w.paragraph(r.Test + " had ended, but a goroutine or process that it left running opened this while " +
			r.RunningTest + " ran. The policy of " + r.RunningTest + " does not contain it.")
		w.paragraph("Stop it in " + r.Test + ", or wait for it there (for example in t.Cleanup): only flows that are " +
			"opened before a test ends can be accepted.")
	}
	r.writeUnprotected(&w)
	r.writeFlows(&w)
	for i, b := range r.Binaries {
		w.gap()
		if i == maxBlocks {
			w.line(2, "... and "+count(len(r.Binaries)-i, "more unexpected program"))
			break
		}
		w.binary(b)
	}
	if r.Strict && r.Lost == "" {
		r.writeList(&w, "unused rules, which Strict forbids", r.Unused)
	}
	r.writeList(&w, "attempts at this machine where no process listened, which Strict forbids", r.Unanswered)
	if r.Missing {
		r.writeMissing(&w)
	}
	if r.Lost == "" && r.Diff != "" {
		writeDiff(&w, r.Diff)
	}
	r.writeList(&w, "notices", r.notices())
	w.gap()
	if text := r.wouldRefuse(); text != "" {
		w.paragraph(text)
	}
	switch {
	case r.Lost != "":
		w.paragraph("An incomplete recording cannot be accepted: fix the cause, and run the test again.")
	case r.Accept != "" && r.acceptable():
		w.command("To accept: ", r.Accept)
	}
	return w.String()
}

// writeFlows writes the blocks of the flows that fail the test.
func (r Report) writeFlows(w *writer) {
	dependencies := r.dependencies()
	shown := 0
	for i, d := range dependencies {
		if i == 0 || d.ReportedBy == "" || dependencies[i-1].ReportedBy == "" {
			w.gap()
		}
		if d.counted() {
			if shown == maxBlocks {
				w.line(2, "... and "+count(countOf(dependencies[i:]), "more unexpected flow"))
				break
			}
			shown++
		}
		w.denied(d, r)
	}
	for i, one := range r.Refused {
		w.gap()
		if i == maxBlocks {
			w.line(2, "... and "+count(len(r.Refused)-i, "more refused flow"))
			break
		}
		w.refused(one, r)
	}
}

// Notes returns the messages of a passing test: the notices, and unused rules. It is "" if there are none.
func (r Report) Notes() string {
	notices := r.notices()
	if len(notices) == 0 {
		return ""
	}
	var w writer
	w.line(0, fmt.Sprintf("netzero: %s: %s (policy %s)", clean(r.Test), count(len(notices), "notice"), clean(r.Golden)))
	w.list(2, notices)
	return w.String()
}

// verdicts returns the headline's reasons, the most serious first.
func (r Report) verdicts() []string {
	var v []string
	if r.Lost != "" {
		v = append(v, "recording incomplete")
	}
	if r.Unusable != "" {
		v = append(v, "the committed policy cannot be used")
	}
	if r.Missing {
		v = append(v, "no committed policy")
	}
	switch {
	case len(r.Unprotected) > 0 && r.Protected:
		v = append(v, "the committed policy does not protect everything")
	case len(r.Unprotected) > 0:
		v = append(v, "the committed policy protects nothing")
	}
	if text := r.unexpected(); text != "" {
		v = append(v, text)
	}
	if n := len(r.Refused); n > 0 {
		v = append(v, count(n, "other flow")+" refused in the kernel")
	}
	if n := len(r.Binaries); n > 0 {
		v = append(v, count(n, "unexpected program"))
	}
	if n := len(r.Unanswered); n > 0 {
		v = append(v, count(n, "unanswered attempt"))
	}
	if n := len(r.Unused); n > 0 && r.Strict && r.Lost == "" {
		v = append(v, count(n, "unused rule"))
	}
	return v
}

// unused returns the unused rules that no other report has. After a loss no rule is known to be unused.
func (r Report) unused() []string {
	if r.Lost != "" || r.UnusedReportedBy != "" {
		return nil
	}
	return r.Unused
}

// notices returns the notices, and the unused rules that fail nothing.
func (r Report) notices() []string {
	notices := recording.Texts(r.Notices)
	if r.Strict {
		return notices
	}
	for _, rule := range r.unused() {
		notices = append(notices, "unused: "+rule)
	}
	return notices
}

func (r Report) writeList(w *writer, title string, texts []string) {
	if len(texts) == 0 {
		return
	}
	w.gap()
	w.line(2, title)
	w.list(6, texts)
}

func (r Report) writeUnprotected(w *writer) {
	if len(r.Unprotected) == 0 {
		return
	}
	w.gap()
	if len(r.Unprotected) == 1 && !r.Protected {
		w.paragraph("nothing is protected: " + r.Unprotected[0])
		w.paragraph("A test with such a policy can never fail.")
		return
	}
	w.line(2, "not protected: flows there can never fail the test")
	w.list(6, r.Unprotected)
}

func (r Report) writeMissing(w *writer) {
	w.gap()
	if r.MissingReportedBy != "" && r.Lost == "" {
		w.paragraph("no policy is committed at " + r.Golden + ": see the report of " + r.MissingReportedBy)
		return
	}
	if r.Proposed == "" || r.Lost != "" {
		w.paragraph("no policy is committed at " + r.Golden)
		return
	}
	w.paragraph("no policy is committed at " + r.Golden + "; this run would write:")
	w.gap()
	for line := range strings.Lines(strings.TrimRight(r.Proposed, "\n")) {
		w.line(4, clean(strings.TrimSuffix(line, "\n")))
	}
}

func writeDiff(w *writer, diff string) {
	lines := strings.Split(strings.TrimRight(diff, "\n"), "\n")
	title := "policy"
	if strings.HasPrefix(lines[0], "(") { // "(-golden +recorded)"
		title += " " + clean(lines[0])
		lines = lines[1:]
	}
	w.gap()
	w.line(2, title)
	for i, line := range lines {
		if i == maxDiffLines {
			w.line(4, "... and "+count(len(lines)-i, "more line"))
			return
		}
		w.line(4, clean(line))
	}
}
