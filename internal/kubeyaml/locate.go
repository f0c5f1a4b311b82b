package kubeyaml

import (
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Lines finds the lines of a document's fields in its file.
type Lines struct {
	root  *yamlv3.Node // nil if the parser of YAML 1.2 rejects text that the parser of 1.1 accepted
	first int          // of the document's body
}

// Lines reads the places of the document's fields.
func (d Document) Lines() Lines {
	l := Lines{first: d.Line}
	var root yamlv3.Node
	if yamlv3.Unmarshal(d.text(), &root) == nil && len(root.Content) == 1 {
		l.root = root.Content[0]
	}
	return l
}

// mostNodes limits the search if aliases make a small text a large tree.
const mostNodes = 100_000

// Of returns the line of a field such as "spec.egress[1].to" or "metadata.labels[example.com/part]"; 0 if there are
// other candidates or none. A field without indexes matches any. The field "" is the object itself.
func (l Lines) Of(field string) int {
	found := l.search(field)
	if len(found) != 1 {
		return 0
	}
	return found[0].line
}

// OfFault returns the line of a fault from [Decode], which has neither indexes nor label keys in its field: the first
// line with the faulty content.
func (l Lines) OfFault(f *Fault) int {
	if f.value == "" {
		return l.Of(f.Field)
	}
	for _, c := range l.search(f.Field) {
		if c.node.holds(f.value) {
			return c.line
		}
		if c.node.Kind != yamlv3.MappingNode {
			continue
		}
		for i := 0; i+1 < len(c.node.Content); i += 2 {
			if (node{c.node.Content[i+1]}).holds(f.value) {
				return l.first - 1 + c.node.Content[i].Line
			}
		}
	}
	return 0
}

func (l Lines) search(field string) []candidate {
	if l.root == nil {
		return nil
	}
	s := search{left: mostNodes}
	s.walk(node{l.root}, field, l.root.Line)
	for i := range s.found {
		s.found[i].line += l.first - 1
	}
	return s.found
}

type candidate struct {
	node node
	line int
}

type search struct {
	found []candidate
	left  int
}

// walk searches for the rest of a field's path below a node. line is the line of the node or of its key.
func (s *search) walk(n node, rest string, line int) {
	if s.left--; s.left < 0 {
		return
	}
	if rest == "" {
		s.found = append(s.found, candidate{n, line})
		return
	}
	if n.Kind == yamlv3.AliasNode {
		n = node{n.Alias}
	}
	switch n.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], node{n.Content[i+1]}
			if key.Tag == "!!merge" {
				s.walk(value, rest, value.Line)
			} else if below, ok := cutKey(rest, key.Value); ok {
				s.walk(value, below, key.Line)
			}
		}
	case yamlv3.SequenceNode:
		index, below, indexed := cutIndex(rest)
		for i, element := range n.Content {
			if !indexed {
				s.walk(node{element}, rest, element.Line)
			} else if i == index {
				s.walk(node{element}, below, element.Line)
			}
		}
	}
}

// cutKey removes a key from the front of a path, as "key", ".key" or "[key]". Keys may contain dots.
func cutKey(path, key string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(path, "["+key+"]"); ok {
		return rest, true
	}
	rest, ok = strings.CutPrefix(strings.TrimPrefix(path, "."), key)
	return rest, ok && key != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func cutIndex(path string) (index int, rest string, ok bool) {
	digits, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
	index, err := strconv.Atoi(digits)
	return index, rest, ok && err == nil && strings.HasPrefix(path, "[")
}

type node struct{ *yamlv3.Node }

// oldBool matches booleans of YAML 1.1 that are strings in YAML 1.2.
var oldBool = regexp.MustCompile(`^(?i:y|yes|n|no|on|off)$`)

// holds reports whether a node's value has the type of encoding/json's words: "string", "number 1.5".
func (n node) holds(value string) bool {
	if n.Kind == yamlv3.AliasNode {
		n = node{n.Alias}
	}
	switch kind, text, _ := strings.Cut(value, " "); kind {
	case "object":
		return n.Kind == yamlv3.MappingNode
	case "array":
		return n.Kind == yamlv3.SequenceNode
	case "number":
		return (n.Tag == "!!int" || n.Tag == "!!float") && (text == "" || text == n.Value)
	case "bool":
		return n.Tag == "!!bool" || n.Style == 0 && oldBool.MatchString(n.Value)
	default:
		return n.Tag == "!!str"
	}
}
