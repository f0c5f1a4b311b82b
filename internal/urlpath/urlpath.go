// Package urlpath holds paths of URLs in which placeholders stand for the segments that differ from run to run.
//
// A placeholder is a whole segment: "/api/v1/invoices/{digits}". The classes are digits, uuid, ulid, hex (at least 16
// digits) and date (of ISO 8601, without a time). Any other word in braces stands for any one segment that is not
// empty. [Of] gives a segment a class by its own form alone, and takes the narrowest, so the same path always gives
// the same pattern. Everything else stays as it was sent: empty segments, trailing slashes, dots, percent-escapes.
//
// A pattern is text that an annotation can hold. It has literal bytes as they were sent, but "{", "}", "," and bytes
// outside of visible ASCII are percent-encoded, with digits in upper case. Such a byte has two spellings in a path,
// "," and "%2C", and a pattern matches both. Other escapes are not decoded: "/%61" is not "/a".
//
// The package does not resolve "." and "..", and knows no queries.
package urlpath

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Pattern is a path with placeholders, in its only spelling. The zero value is not a pattern.
type Pattern string

// class is a form of segments.
type class struct {
	name       string
	expression string // RE2, without anchors
	whole      *regexp.Regexp
}

// classes are in the order in which [Of] tries them: a segment of digits is digits, however long it is. The other
// expressions accept such a segment too, since a random ULID or hex number may have no letter.
var classes = []class{
	newClass("digits", `[0-9]+`),
	newClass("uuid", `[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`),
	newClass("ulid", `(?:[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-7][0-9a-hjkmnp-tv-z]{25})`),
	newClass("hex", `[0-9a-fA-F]{16,}`),
	newClass("date", `[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])`),
}

func newClass(name, expression string) class {
	return class{name, expression, regexp.MustCompile(`^(?:` + expression + `)$`)}
}

// anySegment matches what a placeholder without a class stands for.
const anySegment = `[^/?]+`

var placeholderName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// Of returns the pattern of a path, as policies have it. If patterns in folds match, it is the one of them that sorts
// first; else it is the path with its classes. The path begins with a slash or is "*", whose pattern is "*". Texts in
// folds that [CheckFold] refuses match nothing.
func Of(path string, folds []string) Pattern {
	var best Pattern
	for _, text := range folds {
		p, err := Parse(text)
		if err == nil && (best == "" || p < best) && p.Matches(path) {
			best = p
		}
	}
	if best != "" {
		return best
	}
	segments := strings.Split(encode(path), "/")
	for i, segment := range segments {
		for _, c := range classes {
			if c.whole.MatchString(segment) {
				segments[i] = "{" + c.name + "}"
				break
			}
		}
	}
	return Pattern(strings.Join(segments, "/"))
}

// Parse parses a pattern that a person may have edited, and gives it its only spelling. The error says what is wrong
// with which segment.
func Parse(text string) (Pattern, error) {
	if text == "*" {
		return "*", nil
	}
	if !strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("path %q: it begins with a slash, or is \"*\"", text)
	}
	segments := strings.Split(text, "/")
	for i, segment := range segments[1:] {
		literal, err := parseSegment(segment)
		if err != nil {
			return "", fmt.Errorf("path %q: segment %d, %q: %w", text, i+1, segment, err)
		}
		segments[i+1] = literal
	}
	return Pattern(strings.Join(segments, "/")), nil
}

func parseSegment(segment string) (string, error) {
	if name, isPlaceholder := placeholder(segment); isPlaceholder {
		if !placeholderName.MatchString(name) {
			return "", errors.New("a placeholder is a word of letters, digits and \"_\", \"-\", \".\" in braces")
		}
		for _, c := range classes {
			if name != c.name && strings.EqualFold(name, c.name) {
				return "", fmt.Errorf("the class is spelled {%s}", c.name)
			}
		}
		return segment, nil
	}
	for _, r := range segment {
		switch {
		case r == '{' || r == '}':
			return "", errors.New("a placeholder is a whole segment; a brace that is no placeholder is %7B or %7D")
		case r == '?':
			return "", errors.New("a pattern has no query; a question mark in a path is %3F")
		case r <= ' ' || r == 0x7f:
			return "", fmt.Errorf("a space or control character is written as %%%02X", r)
		}
	}
	return encode(segment), nil
}

// CheckFold returns what is wrong with a pattern of the option FoldPaths, or nil. It needs at least one placeholder.
func CheckFold(text string) error {
	p, err := Parse(text)
	if err != nil {
		return err
	}
	for segment := range strings.SplitSeq(string(p), "/") {
		if _, found := placeholder(segment); found {
			return nil
		}
	}
	return fmt.Errorf("path %q: it has no placeholder, like {name}", text)
}

// Matches reports whether a path, as sent and without its query, matches.
func (p Pattern) Matches(path string) bool {
	if isPlain(path) { // most paths are, and most patterns differ before their first placeholder
		literal, _, hasPlaceholder := strings.Cut(string(p), "{")
		if !hasPlaceholder {
			return path == literal
		}
		if !strings.HasPrefix(path, literal) {
			return false
		}
	}
	if strings.Count(path, "/") != strings.Count(string(p), "/") {
		return false
	}
	segments := strings.Split(encode(path), "/")
	for i, want := range strings.Split(string(p), "/") {
		name, isPlaceholder := placeholder(want)
		if !isPlaceholder && segments[i] != want || isPlaceholder && !stands(name, segments[i]) {
			return false
		}
	}
	return true
}

// stands reports whether a placeholder may stand for a segment.
func stands(name, segment string) bool {
	for _, c := range classes {
		if c.name == name {
			return c.whole.MatchString(segment)
		}
	}
	return segment != "" && !strings.Contains(segment, "?")
}

// Regexp returns a regular expression of RE2 syntax for the same paths, without anchors. It agrees with
// [Pattern.Matches] on paths that are valid UTF-8; RE2 matches no other bytes.
func (p Pattern) Regexp() string {
	segments := strings.Split(string(p), "/")
	for i, segment := range segments {
		name, isPlaceholder := placeholder(segment)
		if !isPlaceholder {
			segments[i] = quote(segment)
			continue
		}
		segments[i] = anySegment
		for _, c := range classes {
			if c.name == name {
				segments[i] = c.expression
			}
		}
	}
	return strings.Join(segments, "/")
}

// placeholder returns the word between the braces, if the segment is a placeholder.
func placeholder(segment string) (name string, found bool) {
	inner, opens := strings.CutPrefix(segment, "{")
	inner, closes := strings.CutSuffix(inner, "}")
	return inner, opens && closes
}

// isEncoded reports whether patterns percent-encode a byte.
// isPlain reports whether a path is spelled in the one way that it has in a pattern.
func isPlain(path string) bool {
	for i := range len(path) {
		if path[i] == '%' || isEncoded(path[i]) {
			return false
		}
	}
	return true
}

func isEncoded(b byte) bool { return b <= ' ' || b >= 0x7f || b == '{' || b == '}' || b == ',' }

// encode returns the spelling of literals in patterns.
func encode(literal string) string {
	var s strings.Builder
	for i := 0; i < len(literal); {
		b, n := next(literal[i:])
		if isEncoded(b) {
			fmt.Fprintf(&s, "%%%02X", b)
		} else {
			s.WriteString(literal[i : i+n])
		}
		i += n
	}
	return s.String()
}

// next returns the first byte of a literal that is not empty, and the length of its spelling. Of bytes that patterns do
// not encode, an escape is itself a literal.
func next(literal string) (b byte, n int) {
	if literal[0] == '%' && len(literal) >= 3 {
		if v, err := strconv.ParseUint(literal[1:3], 16, 8); err == nil && isEncoded(byte(v)) {
			return byte(v), 3
		}
	}
	return literal[0], 1
}

// quote returns an expression for a literal of a pattern. A character that patterns encode matches in both spellings.
func quote(literal string) string {
	var s strings.Builder
	for i := 0; i < len(literal); {
		b, n := next(literal[i:])
		if n == 1 {
			s.WriteString(regexp.QuoteMeta(literal[i : i+1]))
			i++
			continue
		}
		// A character of several bytes is encoded as a whole or not at all: anything else is not UTF-8.
		character := []byte{b}
		for end := i + n; len(character) < utf8.UTFMax && !utf8.Valid(character) && end < len(literal); end += n {
			b, n = next(literal[end:])
			if n == 1 {
				break
			}
			character = append(character, b)
		}
		valid := utf8.Valid(character)
		if !valid {
			character = character[:1]
		}
		var escaped strings.Builder
		for _, b := range character {
			escaped.WriteString("%" + anyCase(b>>4) + anyCase(b&0xf))
		}
		if valid {
			r, _ := utf8.DecodeRune(character)
			fmt.Fprintf(&s, `(?:%s|%s)`, escaped.String(), quoteRune(r))
		} else {
			s.WriteString(escaped.String())
		}
		i += 3 * len(character)
	}
	return s.String()
}

// anyCase returns an expression for a hexadecimal digit.
func anyCase(digit byte) string {
	if digit < 10 {
		return string('0' + rune(digit))
	}
	return fmt.Sprintf("[%X%x]", digit, digit)
}

func quoteRune(r rune) string {
	if r > ' ' && r < 0x7f {
		return regexp.QuoteMeta(string(r))
	}
	return fmt.Sprintf(`\x{%X}`, r)
}
