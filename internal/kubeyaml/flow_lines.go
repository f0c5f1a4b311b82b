package kubeyaml

import (
	"slices"
	"strings"
)

// flowLines is a collection in brackets with each entry on separate lines, like JSON for people.
type flowLines struct {
	*collection
	ends   []int // the end of each entry
	commas []int // the comma after it, or -1
}

// linesOf returns the lines of a collection in brackets; false if entries share a line.
func (e *editor) linesOf(c *collection, ends []int) (flowLines, bool) {
	f := flowLines{collection: c, ends: ends}
	for i := range c.entries {
		rest := e.body[ends[i]:e.lines[e.lineOf(ends[i]-1)+1]]
		behind := strings.TrimLeft(rest, " ")
		comma := -1
		if strings.HasPrefix(behind, ",") {
			comma = ends[i] + len(rest) - len(behind)
			behind = behind[1:]
		}
		if !c.ownLine(e, i) || isContent(strings.TrimSuffix(behind, "\n")) {
			return f, false
		}
		f.commas = append(f.commas, comma)
	}
	return f, true
}

// lineOf returns the line of an offset.
func (e *editor) lineOf(at int) int {
	i, found := slices.BinarySearch(e.lines, at)
	if found {
		return i
	}
	return i - 1
}

// rewriteFlowLines changes a collection in brackets by whole lines. Comments above an entry and after it move with it.
func (e *editor) rewriteFlowLines(f flowLines) bool {
	trailing := f.commas[len(f.commas)-1] >= 0
	type item struct{ entry, insertion int } // the resulting order; -1 for the other kind
	var items []item
	for i := -1; i < len(f.entries); i++ {
		if i >= 0 && !f.removed[i] {
			items = append(items, item{i, -1})
		}
		for j, in := range f.inserted {
			if in.behind == i {
				items = append(items, item{-1, j})
			}
		}
	}
	for i := range f.entries {
		if f.removed[i] {
			e.replace(e.lines[f.flowHead(e, i)], e.lines[e.lineOf(f.ends[i]-1)+1], "")
		}
	}
	for n, x := range items {
		comma := n < len(items)-1 || trailing
		if x.entry >= 0 {
			if !e.replaceEntry(f, x.entry, comma) {
				return false
			}
			continue
		}
		in := f.inserted[x.insertion]
		text, ok := e.inline(in.value)
		if !ok {
			return false
		}
		if comma {
			text += ","
		}
		at := e.lines[f.flowHead(e, 0)]
		if in.behind >= 0 {
			at = e.lines[e.lineOf(f.ends[in.behind]-1)+1]
		}
		e.replace(at, at, strings.Repeat(" ", f.column)+text+"\n")
	}
	return len(items) > 0
}

// replaceEntry changes a remaining entry if needed, and fixes the comma after it.
func (e *editor) replaceEntry(f flowLines, i int, comma bool) bool {
	if f.replaced[i] != nil {
		text, ok := e.inline(f.replaced[i])
		if !ok {
			return false
		}
		e.replace(f.entries[i].at, f.ends[i], text)
	}
	switch at := f.commas[i]; {
	case comma && at < 0:
		e.replace(f.ends[i], f.ends[i], ",")
	case !comma && at >= 0:
		e.replace(at, at+1, "")
	}
	return true
}

// flowHead returns the first line of the comments directly above an entry.
func (f flowLines) flowHead(e *editor, i int) int {
	head := f.entries[i].line
	for head > 0 && strings.HasPrefix(strings.TrimLeft(e.line(head-1), " "), "#") {
		head--
	}
	return head
}
