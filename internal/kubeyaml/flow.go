package kubeyaml

import (
	"strings"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
)

// rewriteFlow changes a collection in brackets.
func (e *editor) rewriteFlow(c *collection) bool {
	ends := make([]int, len(c.entries))
	first := -1 // of the remaining entries
	for i, x := range c.entries {
		ends[i] = e.flowEnd(x.at)
		if first < 0 && !c.removed[i] {
			first = i
		}
	}
	if f, ok := e.linesOf(c, ends); ok {
		return e.rewriteFlowLines(f)
	}
	if first < 0 {
		return e.refill(c, ends[len(ends)-1])
	}
	for i, x := range c.entries {
		switch {
		case c.removed[i] && i < first:
			e.replace(x.at, c.entries[i+1].at, "")
		case c.removed[i]:
			e.replace(ends[i-1], ends[i], "")
		case c.replaced[i] != nil:
			text, ok := e.inline(c.replaced[i])
			if !ok {
				return false
			}
			e.replace(x.at, ends[i], text)
		}
	}
	for _, in := range c.inserted {
		text, ok := e.inline(in.value)
		if !ok {
			return false
		}
		if in.behind < first {
			e.replace(c.entries[first].at, c.entries[first].at, text+", ")
			continue
		}
		e.replace(ends[in.behind], ends[in.behind], ", "+text)
	}
	return true
}

// refill replaces everything in the brackets, up to an offset, with the new entries.
func (e *editor) refill(c *collection, end int) bool {
	var texts []string
	for _, in := range c.inserted {
		text, ok := e.inline(in.value)
		if !ok {
			return false
		}
		texts = append(texts, text)
	}
	e.replace(c.entries[0].at, end, strings.Join(texts, ", "))
	return len(texts) > 0
}

// flowEnd returns the end of an entry that begins at an offset in brackets: before a comma or the closing bracket.
func (e *editor) flowEnd(at int) int {
	end, depth, begins := at, 0, true // begins: a quote here starts a string
	for i := at; i < len(e.body); i++ {
		switch c := e.body[i]; {
		case c == ' ' || c == '\n' || c == '\t':
			continue
		case c == '#' && i > 0 && strings.IndexByte(" \n\t", e.body[i-1]) >= 0:
			i += strings.IndexByte(e.body[i:], '\n') - 1
			continue
		case begins && (c == '"' || c == '\''):
			i = quoteEnd(e.body, i)
			begins = false
		case c == '[' || c == '{':
			depth, begins = depth+1, true
		case c == ']' || c == '}':
			if depth == 0 {
				return end
			}
			depth, begins = depth-1, false
		case c == ',':
			if depth == 0 {
				return end
			}
			begins = true
		default:
			begins = c == ':'
		}
		end = i + 1
	}
	return end
}

// quoteEnd returns the index of the closing quote for the one at an index.
func quoteEnd(text string, at int) int {
	quote := text[at]
	for i := at + 1; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case quote == '\'' && strings.HasPrefix(text[i:], "''"):
			i++
		case text[i] == quote:
			return i
		}
	}
	return len(text) - 1
}

// scalar changes one value, and keeps its quotes.
func (e *editor) scalar(n *yamlv3.Node, to any, inFlow bool) bool {
	at := e.offset(n)
	if n.Anchor != "" || n.Style&(yamlv3.LiteralStyle|yamlv3.FoldedStyle|yamlv3.TaggedStyle) != 0 {
		return false
	}
	end := at + len(n.Value)
	if n.Style&(yamlv3.DoubleQuotedStyle|yamlv3.SingleQuotedStyle) != 0 {
		end = quoteEnd(e.body, at) + 1
	} else if n.Value == "" || !strings.HasPrefix(e.body[at:], n.Value) {
		return false
	}
	text, ok := e.quoted(to, n.Style, inFlow)
	if !ok || strings.Contains(e.body[at:end], "\n") {
		return false
	}
	e.replace(at, end, text)
	return true
}

func decodeRune(s string) (rune, int) { return utf8.DecodeRuneInString(s) }
