package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// minFence is the shortest fence of a code block in Markdown.
const minFence = 3

// Markdown returns the results of a run as a page in GitHub's Markdown: a table of all recordings, and then a section
// for each one with something to review. The order is that of the results. The page ends with a line end.
//
// No text of a recording is interpreted as Markdown or HTML.
func Markdown(results []Result) string {
	var b strings.Builder
	b.WriteString("## NetZero\n\n" + explanation + "\n\n")
	if len(results) == 0 {
		return b.String() + "There are no recordings.\n"
	}
	b.WriteString("| Package | Test | Result | Flows | Denied | Unused rules |\n|---|---|---|---:|---:|---:|\n")
	for _, r := range results {
		b.WriteString(row(code(r.Package), code(r.Test), r.Outcome(), strconv.Itoa(len(flow.Fold(r.Flows))),
			strconv.Itoa(sizeOf(r.dependencies())), strconv.Itoa(len(r.Unused))))
	}
	for _, r := range results {
		if r.hasSection() {
			b.WriteString("\n" + r.section(""))
		}
	}
	return b.String()
}

// explanation is for a reviewer who does not know NetZero.
const explanation = "NetZero records the network flows of integration tests and compares them with the Kubernetes " +
	"network policies that are committed beside the tests. A flow that no policy allows fails the test."

// Section returns the result of one recording as a section in GitHub's Markdown, for a step summary to which the tests
// of a run append. It is "" if there is nothing to review. It ends with a line end.
//
// No text of a recording is interpreted as Markdown or HTML. There are no command lines of processes: they may hold
// secrets, and a summary is published.
func (r Result) Section() string {
	if !r.hasSection() {
		return ""
	}
	return r.section(explanation + "\n\n")
}

// FilesSection returns lines about the policy files of a package, which do not belong to a single test, as a section in
// GitHub's Markdown. It is "" if there are none, and ends with a line end.
func FilesSection(pkg string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### NetZero: policy files of " + code(pkg) + "\n\n" + explanation + "\n\n")
	writeList(&b, lines)
	return b.String()
}

func (r Result) hasSection() bool { return r.Failed() || len(r.unused()) > 0 }

// Outcome returns the result in a few words: "passed", "failed: 2 unexpected flows".
func (r Result) Outcome() string {
	if r.Failed() {
		return "failed: " + strings.Join(r.verdicts(), ", ")
	}
	return "passed"
}

// section returns a section with a text below its heading.
func (r Result) section(intro string) string {
	var b strings.Builder
	b.WriteString("### NetZero: " + code(r.Test))
	if r.Package != "" {
		b.WriteString(" in " + code(r.Package))
	}
	b.WriteString(" " + r.Outcome() + "\n\n" + intro)
	if r.Lost != "" {
		b.WriteString("The recording is incomplete, so it cannot be accepted: " + code(oneLine(r.Lost)) + "\n\n")
	}
	if r.Unusable != "" {
		b.WriteString("The committed policy cannot be used, so nothing was compared: " + code(oneLine(r.Unusable)) + "\n\n")
	}
	if r.hasRefusals() {
		b.WriteString(explainRefusal + "\n\n")
	}
	r.writeTable(&b)
	list := func(title string, texts []string) {
		if len(texts) == 0 {
			return
		}
		b.WriteString(title + "\n\n")
		writeList(&b, texts)
		b.WriteString("\n")
	}
	list("Not protected: flows there can never fail the test.", r.Unprotected)
	list("Attempts at ports of this machine where no process listened:", r.Unanswered)
	list("Unused rules of the policy, which no recorded flow needed:", r.unused())
	if text := r.wouldRefuse(); text != "" {
		b.WriteString(text + "\n\n")
	}
	r.writeHowToAccept(&b)
	b.WriteString("Policy file: " + code(cmp.Or(r.GoldenFile(), r.Golden)) + "\n\n")
	if r.Missing && r.Lost == "" {
		writeDetails(&b, "Policy that an update would write", "yaml", r.Proposed)
	}
	if r.Lost == "" {
		writeDetails(&b, "Policy diff", "diff", r.Diff)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// writeList writes a list of texts as code, and the number of those that are too many.
func writeList(b *strings.Builder, texts []string) {
	for i, text := range texts {
		if i == maxBlocks {
			fmt.Fprintf(b, "- and %d more\n", len(texts)-i)
			return
		}
		b.WriteString("- " + code(text) + "\n")
	}
}

func (r Result) writeHowToAccept(b *strings.Builder) {
	if r.Accept == "" || !r.acceptable() || r.Lost != "" {
		return
	}
	b.WriteString("To accept this, run the command on a developer's machine, and commit the policy file:\n\n")
	writeFenced(b, "sh", clean(r.Accept)+"\n")
	b.WriteString("\n")
}

// writeTable writes a row for each flow and program that the policies do not allow. Without a committed policy, that is
// each flow.
func (r Result) writeTable(b *strings.Builder) {
	var rows []string
	for _, d := range r.dependencies() {
		status := "denied: " + code(reason(d.Denied))
		if text := r.enforced(d.Flow); text != "" {
			status = text + "; " + status
		}
		if also := d.also(); also != "" {
			status += "; " + code(also)
		}
		if d.ReportedBy != "" {
			status = "denied: see " + code(d.ReportedBy)
		}
		rows = append(rows, row(code(d.source(r.Workload)), code(d.Flow.Destination.String()), code(d.ports()), status,
			opened(d.Flow, r.Module)))
	}
	for _, one := range r.Refused {
		d := dependency{Denied: Denied{Flow: one.Flow}}
		rows = append(rows, row(code(d.source(r.Workload)), code(one.Flow.Destination.String()), code(port(one.Flow)),
			r.enforced(one.Flow)+"; "+code(one.Reason), opened(one.Flow, r.Module)))
	}
	for _, binary := range r.Binaries {
		f := binary.Flow
		rows = append(rows, row(code(f.Source.String()), code(f.Destination.String()), code(port(f)),
			"new program: "+code(binary.reason()), opened(f, r.Module)))
	}
	if r.Missing && len(r.Denied) == 0 {
		for _, f := range flow.Fold(r.Flows) {
			d := dependency{Denied: Denied{Flow: f}}
			rows = append(rows, row(code(d.source(r.Workload)), code(f.Destination.String()), code(port(f)),
				"new: no policy is committed", opened(f, r.Module)))
		}
	}
	if len(rows) == 0 {
		return
	}
	b.WriteString("| From | To | Port | Status | Opened by |\n|---|---|---|---|---|\n")
	if more := len(rows) - maxBlocks; more > 0 {
		rows = append(rows[:maxBlocks], row("and "+strconv.Itoa(more)+" more", "", "", "", ""))
	}
	b.WriteString(strings.Join(rows, "") + "\n")
}

// ports returns the ports of a dependency: several for lookups.
func (d dependency) ports() string {
	if len(d.protocols) < 2 {
		return port(d.Flow)
	}
	return strings.Join(d.protocols, " and ")
}

// port returns the port and the protocol of a flow, or what it has instead.
func port(f flow.Flow) string {
	switch {
	case f.Lookup:
		return "*"
	case f.Protocol.IsICMP():
		return f.Message()
	case !f.Protocol.HasPorts():
		return f.Protocol.String()
	}
	return strconv.Itoa(int(f.Port)) + "/" + f.Protocol.String()
}

// opened returns the place in the code at which a flow was opened, or else the program, for a cell.
func opened(f flow.Flow, module string) string {
	if isImplied(f) {
		return "implied: pods resolve names"
	}
	if at := Caller(f.Process.Stack, module); at != "" {
		return code(at)
	}
	return code(program(f.Process))
}

// row returns a line of a table.
func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// punctuation is what Markdown or HTML might interpret, as references to characters, which they do not interpret.
var punctuation = func() *strings.Replacer {
	var pairs []string
	for _, c := range "&<>\"'|`*_~[]()\\!#$@^{}" {
		pairs = append(pairs, string(c), fmt.Sprintf("&#%d;", c))
	}
	return strings.NewReplacer(append(pairs, "://", "&#58;//", "www.", "www&#46;")...)
}()

// code returns a text as code in a line of Markdown, also within a table. It is "" for no text. Long texts are cut.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "<code>" + punctuation.Replace(shorten(clean(text), maxCell)) + "</code>"
}

// maxCell is the number of columns of a text that are shown.
const maxCell = 500

// writeDetails writes a text that a click unfolds. It writes nothing for no text.
func writeDetails(b *strings.Builder, summary, language, text string) {
	if text == "" {
		return
	}
	var lines []string
	for line := range strings.Lines(text) {
		if len(lines) == maxDiffLines {
			lines = append(lines, "...")
			break
		}
		lines = append(lines, clean(strings.TrimSuffix(line, "\n")))
	}
	b.WriteString("<details><summary>" + summary + "</summary>\n\n")
	writeFenced(b, language, strings.Join(lines, "\n")+"\n")
	b.WriteString("\n</details>\n\n")
}

// writeFenced writes a code block with a fence that the text does not contain.
func writeFenced(b *strings.Builder, language, text string) {
	longest := 0
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '`' }) {
		longest = max(longest, len(run))
	}
	fence := strings.Repeat("`", max(minFence, longest+1))
	b.WriteString(fence + language + "\n" + text + fence + "\n")
}
