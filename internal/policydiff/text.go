package policydiff

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
)

// maxFlows is the number of flows that are shown for a change, in a text for people.
const maxFlows = 10

// WriteText writes the differences for a terminal, and nothing if there are none. Control characters are escaped.
func WriteText(w io.Writer, files []File) error {
	var b strings.Builder
	for _, f := range files {
		if !f.Differs() {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if f.Path != "" {
			fmt.Fprintf(&b, "%s:\n\n", report.Line(f.Path))
		}
		for i, s := range f.Subjects {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintln(&b, report.Line(s.Title()))
			for _, c := range s.Changes {
				fmt.Fprintf(&b, "  %s %s\n", word(c.More, "+", "-"), c.Sentence(report.Line))
				writeFlows(&b, "      ", c.Flows)
			}
		}
		if len(f.Others) > 0 {
			fmt.Fprintln(&b, "other recorded flows with another verdict")
			writeFlows(&b, "  ", f.Others)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFlows(b *strings.Builder, indent string, flows []Flow) {
	for i, f := range flows {
		if i == maxFlows {
			fmt.Fprintf(b, "%s... and %d more flows\n", indent, len(flows)-i)
			return
		}
		fmt.Fprintf(b, "%s%s, recorded by %s\n", indent, report.Line(f.Source+" -> "+f.Target),
			report.Line(policy.Abbreviate(f.Tests, ", ")))
		for _, line := range f.verdicts(report.Line) {
			fmt.Fprintf(b, "%s  %s\n", indent, line)
		}
	}
}

// verdicts returns a line for the verdict before, and one for that after the change.
func (f Flow) verdicts(quote func(string) string) []string {
	var lines []string
	for _, v := range []struct {
		when string
		policy.Verdict
	}{{"before", f.Before}, {"now", f.After}} {
		of := ""
		if v.Policy != "" {
			of = ", policy " + quote(v.Policy)
		}
		lines = append(lines, fmt.Sprintf("%s: %s%s: %s", v.when, v.Outcome, of, quote(v.Reason)))
	}
	return lines
}

// Differs reports whether anything of the file changed in meaning.
func (f File) Differs() bool { return len(f.Subjects)+len(f.Others) > 0 }

// maxComment is the number of bytes of a comment that is written for GitHub, which refuses more than 65,536 characters.
const maxComment = 60000

// WriteMarkdown writes the differences for a comment on a pull request. All names from policies and recordings are in
// code spans, so that none of them becomes a link, a mention or HTML. A text that is too long for GitHub is cut, and
// says so.
func WriteMarkdown(w io.Writer, files []File) error {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, f := range files {
		if !f.Differs() {
			continue
		}
		if f.Path != "" {
			add("## %s\n", code(f.Path))
		}
		for _, s := range f.Subjects {
			title := code(s.Name)
			if s.Namespace != "" {
				title += " in namespace " + code(s.Namespace)
			}
			add("### %s\n", title)
			for _, more := range []bool{true, false} {
				changes := slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool { return c.More != more })
				if len(changes) == 0 {
					continue
				}
				add("**%s**\n", word(more, "Allows more", "Allows less"))
				for _, c := range changes {
					add("- %s", c.Sentence(code))
					lines = append(lines, flowItems("  ", c.Flows)...)
				}
				add("")
			}
		}
		if len(f.Others) > 0 {
			add("**Other recorded flows with another verdict**\n")
			lines = append(append(lines, flowItems("", f.Others)...), "")
		}
	}
	if len(lines) == 0 {
		add("The policies allow the same as before.\n")
	}
	_, err := io.WriteString(w, cut(lines))
	return err
}

// cut joins lines up to the length of a comment.
func cut(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if b.Len()+len(line) > maxComment {
			fmt.Fprintf(&b, "\n%d more lines do not fit into a comment: `netzero diff` prints them.\n", len(lines)-i)
			break
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func flowItems(indent string, flows []Flow) []string {
	var lines []string
	for i, f := range flows {
		if i == maxFlows {
			return append(lines, fmt.Sprintf("%s- and %d more flows", indent, len(flows)-i))
		}
		lines = append(lines, fmt.Sprintf("%s- %s, recorded by %s", indent, code(f.Source+" -> "+f.Target),
			code(policy.Abbreviate(f.Tests, ", "))))
		for _, line := range f.verdicts(code) {
			lines = append(lines, indent+"  - "+line)
		}
	}
	return lines
}

// code returns a text as a code span of Markdown: one line, in more backticks than it has in a row.
func code(text string) string {
	text = report.Line(text)
	longest, run := 0, 0
	for _, r := range text {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || strings.TrimSpace(text) != text || text == "" {
		text = " " + text + " "
	}
	return fence + text + fence
}
