package kubeyaml

import (
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// expand returns a text with its aliases replaced by their content. Merges and anchors stay. It reports false if there
// is no alias, or the result would be unreadably long.
func expand(body string) (string, bool) {
	e, root := newEditor(body, nil)
	if root == nil {
		return "", false
	}
	found, left := false, mostNodes
	var walk func(n *yamlv3.Node, inMerge bool) bool
	walk = func(n *yamlv3.Node, inMerge bool) bool {
		if n.Kind == yamlv3.AliasNode && !inMerge {
			found = true
			var v any
			if left -= size(n.Alias, left); left < 0 || n.Alias.Decode(&v) != nil {
				return false
			}
			text, ok := e.inline([]any{v})
			at := e.offset(n)
			e.replace(at, at+len("*")+len(n.Value), text)
			return ok && strings.HasPrefix(e.body[at:], "*"+n.Value)
		}
		for i, child := range n.Content {
			isMerge := n.Kind == yamlv3.MappingNode && i%2 == 1 && n.Content[i-1].Tag == "!!merge"
			if !walk(child, isMerge || inMerge && n.Kind == yamlv3.SequenceNode) {
				return false
			}
		}
		return true
	}
	if !walk(root, false) || !found {
		return "", false
	}
	return e.apply(), true
}

// size counts the nodes below one, including the content of aliases, up to most and one more.
func size(n *yamlv3.Node, most int) int {
	if n.Kind == yamlv3.AliasNode {
		n = n.Alias
	}
	total := 1
	for _, child := range n.Content {
		if total > most {
			break
		}
		total += size(child, most-total)
	}
	return total
}
