package kubeyaml

import (
	gojson "encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
)

// text returns the document's body for YAML parsers. JSON has two escapes that they reject and kubectl accepts: "\/",
// and a surrogate pair, "\ud83d\ude80". No line moves.
func (d Document) text() []byte {
	if !strings.Contains(d.Body, `\`) || !gojson.Valid([]byte(d.Body)) {
		return []byte(d.Body)
	}
	var b []byte
	for rest := d.Body; rest != ""; {
		n := 1
		switch {
		case strings.HasPrefix(rest, `\/`):
			rest = rest[1:]
		case utf16.IsSurrogate(unit(rest)):
			r := utf16.DecodeRune(unit(rest), unit(rest[6:])) // U+FFFD if the second half is missing
			b = append(b, string(r)...)
			if rest = rest[6:]; r != '\ufffd' {
				rest = rest[6:]
			}
			continue
		case rest[0] == '\\':
			n = 2 // also of "\\/", which escapes only the backslash
		}
		b = append(b, rest[:n]...)
		rest = rest[n:]
	}
	return b
}

// unit returns the UTF-16 code unit of an escape at the start of a text, or 0.
func unit(text string) rune {
	if len(text) < 6 || text[:2] != `\u` {
		return 0
	}
	n, _ := strconv.ParseUint(text[2:6], 16, 16)
	return rune(n)
}
