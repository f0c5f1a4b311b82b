package kubeyaml

import "strings"

// rewriteBlock changes a block by whole lines.
func (e *editor) rewriteBlock(c *collection) bool {
	for i, x := range c.entries {
		switch {
		case c.removed[i] && !e.removeLines(c, i):
			return false
		case c.replaced[i] != nil:
			text, ok := e.block(c.replaced[i], c.column)
			if !ok {
				return false
			}
			e.replace(x.at, e.lines[c.contentEnd(e, i)], text)
		}
	}
	for _, in := range c.inserted {
		text, ok := e.block(in.value, c.column)
		if !ok {
			return false
		}
		indent := strings.Repeat(" ", c.column)
		switch {
		case in.behind >= 0:
			if e.separated(c) {
				text = "\n" + indent + text
				indent = ""
			}
			at := e.lines[c.contentEnd(e, in.behind)]
			e.replace(at, at, indent+text)
		case c.ownLine(e, 0):
			at := e.lines[c.head(e, 0)]
			if e.separated(c) {
				text += "\n"
			}
			e.replace(at, at, indent+text)
		default:
			e.replace(c.entries[0].at, c.entries[0].at, text+indent)
		}
	}
	return true
}

// separated reports whether there are several entries with blank lines between all of them.
func (e *editor) separated(c *collection) bool {
	for i := 1; i < len(c.entries); i++ {
		if head := c.head(e, i); !e.isBlank(head - 1) {
			return false
		}
	}
	return len(c.entries) > 1
}

// removeLines removes an entry with its comments, and a blank line that would become a second one.
func (e *editor) removeLines(c *collection, i int) bool {
	x, from, to := c.entries[i], c.head(e, i), c.contentEnd(e, i)
	if !c.ownLine(e, i) { // the next field takes its place after the dash
		if i+1 == len(c.entries) || to != c.entries[i+1].line {
			return false
		}
		e.replace(x.at, c.entries[i+1].at, "")
		return true
	}
	blankBefore := i == 0 || e.isBlank(from-1)
	blankBehind := to+1 < len(e.lines) && e.isBlank(to)
	for blankBefore && to+1 < len(e.lines) && e.isBlank(to) {
		to++
	}
	for i > 0 && i+1 == len(c.entries) && !blankBehind && e.isBlank(from-1) {
		from--
	}
	e.replace(e.lines[from], e.lines[to], "")
	return true
}
