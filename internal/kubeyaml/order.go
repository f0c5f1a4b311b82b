package kubeyaml

import (
	"bytes"
	"cmp"
	gojson "encoding/json"
	"maps"
	"slices"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// written are the fields of objects and policies in the usual order: kind, name, selector, direction; within a rule the
// peers, then the ports.
var written = []string{
	"apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "spec", "specs", "items",
	"description", "namespaceSelector", "podSelector", "endpointSelector", "policyTypes", "enableDefaultDeny",
	"ingress", "ingressDeny", "egress", "egressDeny",
	"from", "fromEndpoints", "fromCIDR", "fromCIDRSet", "fromEntities",
	"to", "toEndpoints", "toFQDNs", "toCIDR", "toCIDRSet", "toEntities", "ports", "toPorts", "icmps",
	"matchLabels", "matchExpressions", "port", "endPort", "protocol",
}

// namesOwn are the fields with keys that people choose: those are sorted.
var namesOwn = []string{"labels", "annotations", "matchLabels"}

var ranks = func() map[string]int {
	ranks := make(map[string]int)
	for i, field := range written {
		ranks[field] = i - len(written) // before all others
	}
	return ranks
}()

// compareFields compares two fields of a mapping: first the order of written, then by name.
func compareFields(a, b string) int {
	return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b))
}

// Marshal returns an object as YAML with its fields in the usual order. Values are written like those of
// sigs.k8s.io/yaml.
func Marshal(object any) ([]byte, error) {
	tree, err := TreeOf(object)
	if err != nil {
		return nil, err
	}
	return yamlv2.Marshal(inOrder(tree, compareFields))
}

// inOrder returns a tree with ordered mappings.
func inOrder(v any, compare func(a, b string) int) any {
	switch v := v.(type) {
	case map[string]any:
		ordered := yamlv2.MapSlice{}
		for _, key := range slices.SortedFunc(maps.Keys(v), compare) {
			below := compareFields
			if slices.Contains(namesOwn, key) {
				below = cmp.Compare[string]
			}
			ordered = append(ordered, yamlv2.MapItem{Key: key, Value: inOrder(v[key], below)})
		}
		return ordered
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			list[i] = inOrder(element, compareFields)
		}
		return list
	}
	return v
}

// nodeOf returns an ordered tree as a node.
func nodeOf(v any) (*yamlv3.Node, error) {
	switch v := v.(type) {
	case yamlv2.MapSlice:
		n := &yamlv3.Node{Kind: yamlv3.MappingNode, Tag: "!!map"}
		for _, item := range v {
			key, err := nodeOf(item.Key)
			if err != nil {
				return nil, err
			}
			value, err := nodeOf(item.Value)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, key, value)
		}
		return n, nil
	case []any:
		n := &yamlv3.Node{Kind: yamlv3.SequenceNode, Tag: "!!seq"}
		for _, element := range v {
			child, err := nodeOf(element)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		return n, nil
	}
	n := new(yamlv3.Node)
	return n, n.Encode(v)
}

// appendJSON writes an ordered tree as JSON.
func appendJSON(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case yamlv2.MapSlice:
		b.WriteByte('{')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, item.Key); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := appendJSON(b, item.Value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, element); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	encoder := gojson.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
	return err
}
