// Package golden reads, compares and writes one committed policy file: the golden file of a test.
//
// It knows no network and no testing. It refuses to guess: a file with an unknown field, another kind of object, a key
// that is given twice or a rule whose list was left empty by accident is an [InvalidError] that names the place, never
// a policy that says less than its author meant. It compares what policies say, not how they are written, and does not
// decide what a policy allows; that is the business of package policy.
package golden

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// MaxSize is the largest golden file that is read or written, in bytes.
const MaxSize = 1 << 20

// Header is what the comment on top of a golden file says about its origin.
type Header struct {
	Test    string // the test's name as testing.TB.Name gives it; file names may differ from it
	Command string // what to type to accept a new recording
}

// File is a golden file as it was read.
type File struct {
	Path     string
	Header   Header                        // empty fields where the file has no such line
	Policies []*networkingv1.NetworkPolicy // in the order of the file; none for an empty file

	text      []byte // as it was read, byte for byte
	documents []document
}

// OtherTest returns the name of the test that the header names where that is not the given one, or "": the file was
// copied, or two tests share it.
func (f *File) OtherTest(test string) string {
	if f.Header.Test == test {
		return ""
	}
	return f.Header.Test
}

// document is a part of a file between two lines that end a document.
type document struct {
	kubeyaml.Document
	policy *networkingv1.NetworkPolicy // nil where the document holds comments only
}

// InvalidError says what is wrong in a golden file, where, and what to do about it.
type InvalidError struct {
	Path     string
	Document int    // counts from 1; 0 where the fault lies in the file as a whole
	Line     int    // counts from 1; 0 where unknown
	Field    string // such as "spec.egress[0].to"; empty where the fault is in no field
	Problem  string
	Advice   string
}

func (e *InvalidError) Error() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "read golden %s: ", e.Path)
	switch {
	case e.Document > 0 && e.Line > 0:
		fmt.Fprintf(&b, "document %d, line %d: ", e.Document, e.Line)
	case e.Document > 0:
		fmt.Fprintf(&b, "document %d: ", e.Document)
	case e.Line > 0:
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Problem)
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	return b.String()
}

// name is what tells the policies of one file apart.
type name struct{ namespace, name string }

func nameOf(p *networkingv1.NetworkPolicy) name { return name{p.Namespace, p.Name} }

func (n name) String() string {
	if n.namespace == "" {
		return n.name
	}
	return n.namespace + "/" + n.name
}

func (n name) compare(m name) int {
	return cmp.Or(cmp.Compare(n.namespace, m.namespace), cmp.Compare(n.name, m.name))
}

// byName returns the policies sorted by namespace and name, or an error where one has no name or two have the same.
func byName(policies []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, error) {
	for _, p := range policies {
		if p == nil || p.Name == "" {
			return nil, errors.New("a policy has no name")
		}
		if k := p.Kind; k != "" && k != kind || p.APIVersion != "" && p.APIVersion != apiVersion {
			return nil, fmt.Errorf("policy %s is %s %s, not %s %s", nameOf(p), p.APIVersion, k, apiVersion, kind)
		}
	}
	sorted := slices.SortedStableFunc(slices.Values(policies), func(a, b *networkingv1.NetworkPolicy) int {
		return nameOf(a).compare(nameOf(b))
	})
	for i := 1; i < len(sorted); i++ {
		if nameOf(sorted[i-1]) == nameOf(sorted[i]) {
			return nil, fmt.Errorf("two policies are called %s", nameOf(sorted[i]))
		}
	}
	return sorted, nil
}
