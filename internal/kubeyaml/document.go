package kubeyaml

import (
	"fmt"
	"strings"
)

// Document is a part of a file between two lines that end a document. All parts of a file, concatenated, are its text.
type Document struct {
	Separator string // the line "---" or "..." before it, with its comment; empty at the start of the file
	Body      string
	Line      int // of the body's first line, from 1
}

// IsEmpty reports whether the document has only comments.
func (d Document) IsEmpty() bool {
	_, content := LeadingComments(d.Body)
	return content == ""
}

// Documents is [Split] for text that people wrote: it also reports faults that YAML would describe badly.
func Documents(text string) ([]Document, *Fault) {
	documents := Split(text)
	if fault := checkText(text); fault != nil {
		return documents, fault
	}
	return documents, checkSeparators(documents)
}

// Split splits a text with LF line ends into documents. A line that starts with "---" or "..." ends a document
// anywhere, in block and quoted scalars too (YAML 1.2, 9.1.2).
func Split(text string) []Document {
	var documents []Document
	current := Document{Line: 1}
	start, at, n := 0, 0, 0 // of the current body, of this line, its number
	for line := range strings.Lines(text) {
		n++
		if endsDocument(line) {
			current.Body = text[start:at]
			documents = append(documents, current)
			current, start = Document{Separator: line, Line: n + 1}, at+len(line)
		}
		at += len(line)
	}
	current.Body = text[start:]
	return append(documents, current)
}

// checkSeparators finds text that YAML and kubectl would split differently.
func checkSeparators(documents []Document) *Fault {
	for i, d := range documents {
		if d.Separator != "" && isContent(strings.TrimSpace(d.Separator[3:])) {
			return &Fault{Line: d.Line - 1, Problem: fmt.Sprintf("text after %q", d.Separator[:3]),
				Advice: "put it on the next line: kubectl ignores it here"}
		}
		if i > 0 && !d.IsEmpty() && strings.HasPrefix(d.Separator, "...") {
			return &Fault{Line: d.Line - 1, Problem: `"..." before another document`,
				Advice: `separate documents with a line "---": kubectl accepts no other separator`}
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

// isContent reports whether a line has more than spaces and a comment. A tab is content, so that YAML reports it.
func isContent(line string) bool {
	line = strings.Trim(line, " \n")
	return line != "" && line[0] != '#'
}

// LeadingComments splits a document before its first line with content.
func LeadingComments(body string) (comments, rest string) {
	at := 0
	for line := range strings.Lines(body) {
		if isContent(line) {
			break
		}
		at += len(line)
	}
	return body[:at], body[at:]
}

// TrailingComments splits a document after its last line with content. Only comments at the start of a line count: an
// indented one may be part of a block scalar.
func TrailingComments(body string) (rest, comments string) {
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
