package editor

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// value is a value in a text of JSON with comments and trailing commas, as VS Code reads it.
type value struct {
	kind       byte // its first byte
	start, end int
	members    []member // of an object
	decoded    string   // of a string
	margin     string   // the white space before the first member, if that begins a line
}

type member struct {
	name  string
	value *value
}

// member returns the value of a member, the last one if there are several, or nil. A value that is nil or no object has
// no members.
func (v *value) member(name string) *value {
	var found *value
	if v != nil {
		for _, m := range v.members {
			if m.name == name {
				found = m.value
			}
		}
	}
	return found
}

func (v *value) text() string {
	if v == nil {
		return ""
	}
	return v.decoded
}

// indent returns the indentation of an object's members, or another one if it has none.
func (v *value) indent(other string) string {
	if v.margin == "" {
		return other
	}
	return v.margin
}

// parseJSON parses a text.
func parseJSON(text string) (*value, error) {
	p := &jsonParser{text: text}
	if strings.HasPrefix(text, "\ufeff") {
		p.at = len("\ufeff")
	}
	v, err := p.value()
	if err == nil {
		err = p.space()
	}
	if err == nil && p.at < len(text) {
		err = errors.New("something follows it")
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:p.at], "\n"), err)
	}
	return v, nil
}

type jsonParser struct {
	text string
	at   int
}

// space skips white space and comments.
func (p *jsonParser) space() error {
	for {
		rest := p.text[p.at:]
		p.at = len(p.text) - len(strings.TrimLeft(rest, " \t\r\n"))
		rest = p.text[p.at:]
		end := 0
		switch {
		case strings.HasPrefix(rest, "//"):
			if end = strings.IndexByte(rest, '\n'); end < 0 {
				end = len(rest)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return errors.New("the comment does not end")
			}
			end = n + 4
		default:
			return nil
		}
		p.at += end
	}
}

func (p *jsonParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *jsonParser) value() (*value, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	v := &value{kind: p.peek(), start: p.at}
	var err error
	switch v.kind {
	case '{':
		err = p.items('}', func() error { return p.parseMember(v) })
	case '[':
		err = p.items(']', func() error { _, err := p.value(); return err })
	case '"':
		v.decoded, err = p.parseString()
	default:
		end := strings.IndexAny(p.text[p.at:], " \t\r\n,]}/")
		if end < 0 {
			end = len(p.text) - p.at
		}
		if !json.Valid([]byte(p.text[p.at : p.at+end])) {
			return nil, errors.New("a value is missing")
		}
		p.at += end
	}
	v.end = p.at
	return v, err
}

// items parses what is between brackets and separated by commas, one of which may come last.
func (p *jsonParser) items(closing byte, item func() error) error {
	p.at++
	for {
		if err := p.space(); err != nil {
			return err
		}
		if p.peek() == closing {
			p.at++
			return nil
		}
		if err := item(); err != nil {
			return err
		}
		if err := p.space(); err != nil {
			return err
		}
		switch p.peek() {
		case ',':
			p.at++
		case closing:
		default:
			return fmt.Errorf("a comma or %c is missing", closing)
		}
	}
}

func (p *jsonParser) parseMember(object *value) error {
	if len(object.members) == 0 {
		line := p.text[strings.LastIndexByte(p.text[:p.at], '\n')+1 : p.at]
		if strings.Trim(line, " \t") == "" {
			object.margin = line
		}
	}
	if p.peek() != '"' {
		return errors.New("the name of a member is missing")
	}
	name, err := p.parseString()
	if err == nil {
		err = p.space()
	}
	if err != nil {
		return err
	}
	if p.peek() != ':' {
		return errors.New("a colon is missing")
	}
	p.at++
	v, err := p.value()
	object.members = append(object.members, member{name, v})
	return err
}

func (p *jsonParser) parseString() (string, error) {
	for end := p.at + 1; end < len(p.text); end++ {
		switch p.text[end] {
		case '\\':
			end++
		case '"':
			var s string
			if err := json.Unmarshal([]byte(p.text[p.at:end+1]), &s); err != nil {
				return "", err
			}
			p.at = end + 1
			return s, nil
		}
	}
	return "", errors.New("the string does not end")
}
