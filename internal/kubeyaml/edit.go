package kubeyaml

import (
	gojson "encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Change describes an edit of a document: From is its current content, as [Document.Tree] returns it, optionally
// without fields that have no effect, and To the new content.
type Change struct {
	From, To any
	// Identity names the elements of lists that remain the same element when their other fields change: for example a
	// rule, by its peers. Elements with the name "" are matched by the fields that they share.
	Identity func(element any) string
	// Holds reports whether a text has the intended content.
	Holds func(body string) bool
}

// Edit changes the text of the document only where necessary: everything else stays the same byte for byte, with its
// comments, quotes, style and order. A comment belongs to the entry that contains it or follows it. New text has the
// style of its surroundings.
//
// If an anchor prevents a change, its aliases are expanded. Edit reports false if no such text has the intended
// content: then the document has to be rewritten.
func (d Document) Edit(c Change) (body string, ok bool) {
	if string(d.text()) != d.Body {
		return "", false // JSON-only escapes: columns would differ
	}
	for _, expanded := range []bool{false, true} {
		text := d.Body
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if expanded {
			if text, ok = expand(text); !ok {
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
	lines        []int // the start of each line, and the end of the last
	identity     func(any) string
	byName       bool // the next mapping has keys that people chose
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

// apply returns the changed text. Overlapping removals merge; an insertion inside a removal stays.
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

// value changes a node that ends before a line and may be in brackets. It reports false if the node has to be replaced
// as a whole.
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
		case !had && !has: // a field without effect, or a merge
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
			continue // also if a merge brings it
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
	last := -1 // the old element after which a new one goes
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
