package policydiff

import (
	"errors"
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Parse reads the policies of a file, of both dialects. It passes over objects of other kinds, so that the output of a
// renderer can be compared as a whole. Network policies of kinds or versions that package golden does not read are an
// error. path is for messages. The error is a [*golden.InvalidError].
func Parse(path string, text []byte) ([]golden.Policy, error) {
	unix := kubeyaml.UnixLines(text)
	documents, fault := kubeyaml.Documents(unix)
	if fault != nil {
		return nil, &golden.InvalidError{Path: path, Line: fault.Line, Problem: fault.Problem, Advice: fault.Advice}
	}
	var all []golden.Policy
	for _, kind := range []golden.Dialect{golden.Kubernetes, golden.Cilium} {
		file, err := golden.Parse(path, []byte(only(kind, documents)))
		if err != nil {
			var invalid *golden.InvalidError
			if errors.As(err, &invalid) {
				invalid.Document = 0 // other documents were left out before it
			}
			return nil, err
		}
		all = append(all, file.Policies...)
	}
	return all, nil
}

// only returns the documents of one dialect, at their lines: all others become empty lines. A document that cannot be
// read counts as one of NetworkPolicies, for the message.
func only(kind golden.Dialect, documents []kubeyaml.Document) string {
	var b strings.Builder
	for _, d := range documents {
		b.WriteString(d.Separator)
		if !d.IsEmpty() && kindOf(d) != kind {
			b.WriteString(strings.Repeat("\n", strings.Count(d.Body, "\n")))
		} else {
			b.WriteString(d.Body)
		}
	}
	return b.String()
}

// kindOf returns the dialect of the policies in a document, or "" for other objects. Other network policies count as
// NetworkPolicies, for the message.
func kindOf(d kubeyaml.Document) golden.Dialect {
	tree, fault := d.Tree()
	object, isObject := tree.(map[string]any)
	if fault != nil || !isObject {
		return golden.Kubernetes
	}
	items, _ := object["items"].([]any)
	for _, item := range append([]any{object}, items...) {
		object, _ := item.(map[string]any)
		kind := strings.TrimSuffix(fmt.Sprint(object["kind"]), "List")
		switch {
		case object["apiVersion"] == cilium.APIVersion && kind == cilium.Kind:
			return golden.Cilium
		case strings.HasSuffix(kind, string(golden.Kubernetes)):
			return golden.Kubernetes
		}
	}
	return ""
}
