package golden

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// The lines of the header. A file keeps working without them; they are for people, and for [File.OtherTest].
const (
	originLine    = "# Recorded by netzerotest"
	originRest    = "; edit it as you like: what counts is what the policy allows, not its text."
	testPrefix    = "# test: "
	packagePrefix = "# package: "
	sharedPrefix  = "# shared by: "
	acceptPrefix  = "# accept: "
)

// String returns the header as comment lines. A field that is empty gives no line.
func (h Header) String() string {
	text := originLine + originRest + "\n"
	if h.Test != "" {
		text += testPrefix + quoteLine(h.Test) + "\n"
	}
	if h.Package != "" {
		text += packagePrefix + quoteLine(h.Package) + "\n"
	}
	for _, test := range h.Tests {
		text += sharedPrefix + quoteLine(test) + "\n"
	}
	if h.Command != "" {
		text += acceptPrefix + quoteLine(h.Command) + "\n"
	}
	return text
}

// readHeader finds the header in the comments before a file's first policy, wherever a human moved it there.
func readHeader(documents []document) Header {
	var h Header
	for _, d := range documents {
		comments, _ := kubeyaml.LeadingComments(d.Body)
		for line := range strings.Lines(comments) {
			line = strings.TrimSuffix(line, "\n")
			if value, ok := strings.CutPrefix(line, testPrefix); ok {
				h.Test = unquoteLine(value)
			}
			if value, ok := strings.CutPrefix(line, packagePrefix); ok {
				h.Package = unquoteLine(value)
			}
			if value, ok := strings.CutPrefix(line, sharedPrefix); ok {
				h.Tests = append(h.Tests, unquoteLine(value))
			}
			if value, ok := strings.CutPrefix(line, acceptPrefix); ok {
				h.Command = unquoteLine(value)
			}
		}
		if !d.IsEmpty() {
			break
		}
	}
	slices.Sort(h.Tests)
	h.Tests = slices.Compact(h.Tests)
	return h
}

// ReadHeader reads only the header, so the file may have any content, even content that [Read] rejects. The header of a
// file that is no golden file is empty. The error matches [fs.ErrNotExist] if there is no file.
func ReadHeader(path string) (Header, error) {
	text, err := readText(path)
	if err != nil {
		return Header{}, err
	}
	var documents []document
	for _, d := range kubeyaml.Split(kubeyaml.UnixLines(text)) {
		documents = append(documents, document{Document: d})
	}
	return readHeader(documents), nil
}

// withoutHeader drops the header's lines from comments.
func withoutHeader(comments string) string {
	var b strings.Builder
	for line := range strings.Lines(comments) {
		prefixes := []string{originLine, testPrefix, packagePrefix, sharedPrefix, acceptPrefix}
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// quoteLine quotes a text that a YAML comment cannot hold unchanged, or that would be read back differently.
func quoteLine(s string) string {
	plain := utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.HasPrefix(s, `"`)
	for _, r := range s {
		plain = plain && strconv.IsPrint(r)
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// unquoteLine is the inverse of quoteLine.
func unquoteLine(s string) string {
	s = strings.TrimSpace(s)
	if unquoted, err := strconv.Unquote(s); err == nil && strings.HasPrefix(s, `"`) {
		return unquoted
	}
	return s
}
