package kubeyaml

import (
	"bytes"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// style is the formatting of a text.
type style struct {
	json bool
	deep bool // dashes are indented below the key of their list
}

// indentsLists reports whether the first list of a block that is a field's value is indented.
func indentsLists(n *yamlv3.Node) bool {
	column, found := 0, false
	var walk func(n *yamlv3.Node)
	walk = func(n *yamlv3.Node) {
		for i, child := range n.Content {
			if isBlock := child.Kind == yamlv3.SequenceNode && child.Style&yamlv3.FlowStyle == 0; isBlock &&
				n.Kind == yamlv3.MappingNode && !found {
				column, found = child.Column-n.Content[i-1].Column, true
			}
			if !found {
				walk(child)
			}
		}
	}
	walk(n)
	return column > 0
}

// block returns a mapping or a list as lines. All but the first begin in a column.
func (s style) block(v any, column int) (string, bool) {
	var text []byte
	var err error
	if s.deep {
		var b bytes.Buffer
		encoder := yamlv3.NewEncoder(&b)
		encoder.SetIndent(2)
		var n *yamlv3.Node
		if n, err = nodeOf(inOrder(v, compareFields)); err == nil {
			err = encoder.Encode(n)
		}
		text = b.Bytes()
	} else {
		text, err = Marshal(v) // like golden files
	}
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if b.Len() > 0 && line != "\n" {
			b.WriteString(strings.Repeat(" ", column))
		}
		b.WriteString(line)
	}
	return b.String(), true
}

// inline returns the one entry of a mapping or a list in the form for brackets.
func (s style) inline(v any) (string, bool) {
	text, ok := s.flow(v)
	if len(text) < 2 {
		return "", false
	}
	return text[1 : len(text)-1], ok
}

func (s style) flow(v any) (string, bool) {
	if s.json {
		var b bytes.Buffer
		err := appendJSON(&b, inOrder(v, compareFields))
		return b.String(), err == nil
	}
	n, err := nodeOf(inOrder(v, compareFields))
	if err != nil {
		return "", false
	}
	n.Style = yamlv3.FlowStyle
	text, err := yamlv3.Marshal(n)
	return strings.TrimSpace(string(text)), err == nil
}

// quoted returns a value in the quotes of another one, or in those that it needs.
func (s style) quoted(v any, quotes yamlv3.Style, inFlow bool) (string, bool) {
	text, is := v.(string)
	switch plain := !is || quotes == 0; {
	case s.json, plain && inFlow:
		return s.inline([]any{v})
	case plain:
		b, err := yaml.Marshal(v)
		line := strings.TrimSpace(string(b))
		return line, err == nil && !strings.Contains(line, "\n")
	}
	n := yamlv3.Node{Kind: yamlv3.SequenceNode, Style: yamlv3.FlowStyle,
		Content: []*yamlv3.Node{{Kind: yamlv3.ScalarNode, Tag: "!!str", Style: quotes, Value: text}}}
	b, err := yamlv3.Marshal(&n)
	line := strings.TrimSpace(string(b))
	if err != nil || len(line) < 2 {
		return "", false
	}
	return line[1 : len(line)-1], true
}
