package kubeyaml

import (
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// collection is a mapping or a list in a text, with the planned changes of its entries.
type collection struct {
	entries  []entry
	flow     bool // in brackets
	column   int  // of the entries of a block
	end      int  // the line after a block
	removed  map[int]bool
	replaced map[int]any
	inserted []insertion
}

// entry is a field or an element.
type entry struct {
	key   *yamlv3.Node // nil for an element
	value *yamlv3.Node
	at    int // the offset of the key, the dash or, in brackets, the element
	line  int // of at, from 0
}

// insertion is a new entry after another one, or at the front for -1: a mapping of one field, or a list of one element.
type insertion struct {
	behind int
	value  any
}

func (c *collection) insert(behind int, value any) {
	c.inserted = append(c.inserted, insertion{behind, value})
}

// collection finds the entries of a node; false if they are not at the expected places.
func (e *editor) collection(n *yamlv3.Node, end int) (*collection, bool) {
	c := &collection{flow: n.Style&yamlv3.FlowStyle != 0, end: end, removed: make(map[int]bool),
		replaced: make(map[int]any)}
	isMapping := n.Kind == yamlv3.MappingNode
	for i := 0; i < len(n.Content); i++ {
		x := entry{value: n.Content[i]}
		if isMapping {
			x.key, x.value = n.Content[i], n.Content[i+1]
			i++
		}
		switch {
		case isMapping:
			x.at, x.line = e.offset(x.key), x.key.Line-1
		case c.flow:
			x.at, x.line = e.offset(x.value), x.value.Line-1
		default:
			var found bool
			if x.at, x.line, found = e.dash(x.value); !found {
				return nil, false
			}
		}
		c.entries = append(c.entries, x)
		column := x.at - e.lines[x.line]
		if len(c.entries) == 1 {
			c.column = column
		} else if !c.flow && column != c.column {
			return nil, false
		}
	}
	return c, len(c.entries) > 0
}

// offset returns the start of a node. Columns count characters.
func (e *editor) offset(n *yamlv3.Node) int {
	at := e.lines[n.Line-1]
	for column := 1; column < n.Column; column++ {
		_, size := decodeRune(e.body[at:])
		at += size
	}
	return at
}

// dash finds the dash of an element: on the same line or on an earlier one, alone or with a comment.
func (e *editor) dash(n *yamlv3.Node) (at, line int, found bool) {
	before := strings.TrimRight(e.body[e.lines[n.Line-1]:e.offset(n)], " ")
	for line = n.Line - 1; line >= 0; line-- {
		if line < n.Line-1 {
			before, _, _ = strings.Cut(e.line(line), " #")
			before = strings.TrimRight(before, " \n")
		}
		if strings.HasSuffix(before, "-") && strings.Trim(before, " -") == "" {
			return e.lines[line] + len(before) - 1, line, true
		}
		if isContent(before) {
			break
		}
	}
	return 0, 0, false
}

func (e *editor) line(i int) string { return e.body[e.lines[i]:e.lines[i+1]] }

func (e *editor) isBlank(i int) bool { return strings.Trim(e.line(i), " \n") == "" }

// isOutside reports whether a line is a comment outside of an entry that begins in a column. Blank lines do not count.
func (e *editor) isOutside(i, column int) bool {
	line := e.line(i)
	rest := strings.TrimLeft(line, " ")
	return strings.HasPrefix(rest, "#") && len(line)-len(rest) <= column
}

// contentEnd returns the line after a block's entry.
func (c *collection) contentEnd(e *editor, i int) int {
	end := c.end
	if i+1 < len(c.entries) {
		end = c.entries[i+1].line
	}
	for end-1 > c.entries[i].line && (e.isBlank(end-1) || e.isOutside(end-1, c.column)) {
		end--
	}
	return end
}

// head returns the first line of the comments directly above an entry.
func (c *collection) head(e *editor, i int) int {
	x := c.entries[i]
	if !c.ownLine(e, i) {
		return x.line
	}
	head := x.line
	for head > 0 && e.isOutside(head-1, c.column) {
		head--
	}
	return head
}

// ownLine reports whether a block's entry begins its line. The first one may follow a dash.
func (c *collection) ownLine(e *editor, i int) bool {
	x := c.entries[i]
	return strings.Trim(e.body[e.lines[x.line]:x.at], " ") == ""
}

// placeOf returns the entry after which a new field goes. Fields in the written order, or sorted by name, stay so.
func (c *collection) placeOf(key string, written func(a, b string) int) int {
	for _, compare := range []func(a, b string) int{written, strings.Compare} {
		if !slices.IsSortedFunc(c.entries, func(a, b entry) int { return compare(a.key.Value, b.key.Value) }) {
			continue
		}
		i := slices.IndexFunc(c.entries, func(x entry) bool { return compare(x.key.Value, key) > 0 })
		if i < 0 {
			i = len(c.entries)
		}
		return i - 1
	}
	return len(c.entries) - 1
}

// rewrite applies the planned changes to the text.
func (e *editor) rewrite(c *collection) bool {
	if c.flow {
		return e.rewriteFlow(c)
	}
	return e.rewriteBlock(c)
}
