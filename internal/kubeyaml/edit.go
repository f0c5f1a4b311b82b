package kubeyaml

import (
	gojson "encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Change is what shall be different in a document: From is what it says, as [Document.Tree] has it, perhaps without
// fields that say nothing, and To what it shall say.
type Change struct {
	From, To any
	// Identity names the elements of lists that stay themselves where their other fields change: such as a rule by its
	// peers. Elements of the name "" are told apart by what they have in common.
	Identity func(element any) string
	// Holds reports whether a text says what it shall.
	Holds func(body string) bool
}

// Edit changes the text of the document where it has to, and nowhere else: what stays is the same byte for byte, with
// its comments, quotes, style and order. A comment goes with what it is in, or right above of. What is new is written in
// the style of what surrounds it.
//
// Where an anchor is in the way, its aliases are written out. It reports false where no such text holds: then the
// document has to be written anew.
func (d Document) Edit(c Change) (body string, ok bool) {
	if string(d.text()) != d.Body {
		return "", false // escapes that only JSON has: columns would be others
	}
	for _, dissolve := range []bool{false, true} {
		text := d.Body
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if dissolve {
			if text, ok = dissolved(text); !ok {
				return "", false
			}
		}
		e, root := newEditor(text, c.Identity)
		if root == nil || !e.value(root, c.From, c.To, len(e.lines)-1, false) {
			continue
		}
		if body = e.apply(); c.Holds(body) {
			return body, true
		}
	}
	return "", false
}

// replacement is one change of a text.
type replacement struct {
	from, to int
	text     string
}

// editor collects the changes of a text.
type editor struct {
	style
	body         string
	lines        []int // where each line begins, and behind the last
	identity     func(any) string
	byName       bool // the mapping to change next has keys that people chose
	replacements []replacement
}

func newEditor(body string, identity func(any) string) (*editor, *yamlv3.Node) {
	e := &editor{body: body, identity: identity}
	var document yamlv3.Node
	if yamlv3.Unmarshal([]byte(body), &document) != nil || len(document.Content) != 1 {
		return e, nil
	}
	at := 0
	for line := range strings.Lines(body) {
		e.lines = append(e.lines, at)
		at += len(line)
	}
	e.lines = append(e.lines, at)
	e.style = style{json: gojson.Valid([]byte(body)), deep: indentsLists(document.Content[0])}
	return e, document.Content[0]
}

func (e *editor) replace(from, to int, text string) {
	e.replacements = append(e.replacements, replacement{from, to, text})
}

// apply returns the changed text. What is removed twice is removed; what is put where something is removed stays.
func (e *editor) apply() string {
	slices.SortStableFunc(e.replacements, func(a, b replacement) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, r := range e.replacements {
		from, to := max(r.from, at), max(r.to, at)
		b.WriteString(e.body[at:from])
		b.WriteString(r.text)
		at = to
	}
	b.WriteString(e.body[at:])
	return b.String()
}

// value changes a node that ends before a line, and may stand in brackets. It reports false where it has to be replaced as
// a whole.
func (e *editor) value(n *yamlv3.Node, from, to any, end int, inFlow bool) bool {
	if reflect.DeepEqual(from, to) {
		return true
	}
	undo := len(e.replacements)
	ok := false
	switch from := from.(type) {
	case map[string]any:
		if to, is := to.(map[string]any); is && n.Kind == yamlv3.MappingNode {
			ok = e.mapping(n, from, to, end)
		}
	case []any:
		if to, is := to.([]any); is && n.Kind == yamlv3.SequenceNode && len(from) == len(n.Content) {
			ok = e.list(n, from, to, end)
		}
	default:
		ok = n.Kind == yamlv3.ScalarNode && e.scalar(n, to, inFlow)
	}
	if !ok {
		e.replacements = e.replacements[:undo]
	}
	return ok
}

// mapping changes a mapping's fields.
func (e *editor) mapping(n *yamlv3.Node, from, to map[string]any, end int) bool {
	compare := compareFields
	if e.byName {
		compare = strings.Compare
	}
	e.byName = false
	c, ok := e.collection(n, end)
	if !ok || len(to) == 0 {
		return false
	}
	kept := 0
	for i, entry := range c.entries {
		old, had := from[entry.key.Value]
		new, has := to[entry.key.Value]
		e.byName = slices.Contains(namesOwn, entry.key.Value)
		switch {
		case !had && !has: // a field that says nothing, or a merge
			kept++
		case !has:
			c.removed[i] = true
		case had && e.value(entry.value, old, new, c.contentEnd(e, i), c.flow):
			kept++
		default:
			kept++
			c.replaced[i] = map[string]any{entry.key.Value: new}
		}
	}
	e.byName = false
	for _, key := range slices.SortedFunc(maps.Keys(to), compare) {
		isKey := func(x entry) bool { return x.key.Value == key }
		if old, had := from[key]; had && reflect.DeepEqual(old, to[key]) || slices.ContainsFunc(c.entries, isKey) {
			continue // also where a merge brings it
		}
		c.insert(c.placeOf(key, compare), map[string]any{key: to[key]})
	}
	if kept == 0 {
		return false
	}
	return e.rewrite(c)
}

// list changes a list's elements.
func (e *editor) list(n *yamlv3.Node, from, to []any, end int) bool {
	c, ok := e.collection(n, end)
	if !ok || len(to) == 0 {
		return false
	}
	pairs, ok := pairUp(from, to, e.identity)
	if !ok {
		return false
	}
	last := -1 // the old element behind which a new one goes
	for _, p := range pairs {
		switch {
		case p.new < 0:
			c.removed[p.old] = true
		case p.old < 0:
			c.insert(last, []any{to[p.new]})
			continue
		case !e.value(c.entries[p.old].value, from[p.old], to[p.new], c.contentEnd(e, p.old), c.flow):
			c.replaced[p.old] = []any{to[p.new]}
		}
		last = p.old
	}
	return e.rewrite(c)
}
