package golden

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// document is a part of a file between two lines that end a document. The parts of a file, put together again, are its
// text.
type document struct {
	separator string // the line "---" or "..." before it, with its comment; empty at the start of the file
	body      string
	line      int                         // of the body's first line, counted from 1
	policy    *networkingv1.NetworkPolicy // nil where the document holds comments only
}

// split cuts a text with LF line ends into documents. A line that starts with "---" or "..." ends a document wherever
// it stands, in block and quoted scalars too (YAML 1.2, 9.1.2).
func split(text string) []document {
	var documents []document
	current := document{line: 1}
	start, at, n := 0, 0, 0 // of the current body, of this line, its number
	for line := range strings.Lines(text) {
		n++
		if endsDocument(line) {
			current.body = text[start:at]
			documents = append(documents, current)
			current, start = document{separator: line, line: n + 1}, at+len(line)
		}
		at += len(line)
	}
	current.body = text[start:]
	return append(documents, current)
}

// checkSeparators finds documents that YAML and kubectl would tell apart differently.
func checkSeparators(documents []document) *InvalidError {
	for i, d := range documents {
		if d.separator != "" && isContent(strings.TrimSpace(d.separator[3:])) {
			return &InvalidError{Line: d.line - 1, Problem: fmt.Sprintf("text behind %q", d.separator[:3]),
				Advice: "put it on the next line: kubectl would drop it"}
		}
		if _, content := leadingComments(d.body); i > 0 && content != "" && strings.HasPrefix(d.separator, "...") {
			return &InvalidError{Line: d.line - 1, Problem: `"..." before another document`,
				Advice: `separate documents with a line "---": kubectl knows no other`}
		}
	}
	return nil
}

func endsDocument(line string) bool {
	if !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "...") {
		return false
	}
	rest := line[3:]
	return rest == "" || strings.ContainsAny(rest[:1], " \t\n")
}

// isContent reports whether a line holds more than spaces and a comment. A tab is content, for YAML to complain about.
func isContent(line string) bool {
	line = strings.Trim(line, " \n")
	return line != "" && line[0] != '#'
}

// leadingComments cuts a document before its first line with content.
func leadingComments(body string) (comments, rest string) {
	at := 0
	for line := range strings.Lines(body) {
		if isContent(line) {
			break
		}
		at += len(line)
	}
	return body[:at], body[at:]
}

// trailingComments cuts a document after its last line with content. Only comments at the start of a line count: an
// indented one may be text of a block scalar.
func trailingComments(body string) (rest, comments string) {
	at := len(body)
	for at > 0 {
		start := strings.LastIndexByte(body[:at-1], '\n') + 1
		if line := body[start:at]; line[0] != '#' && strings.Trim(line, " \n") != "" {
			break
		}
		at = start
	}
	return body[:at], body[at:]
}
