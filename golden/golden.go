// Package golden reads, compares and writes one committed policy file: the golden file of a test.
//
// It refuses to guess. A file with an unknown field, another kind of object, a duplicate key or a list that is empty by
// accident is an [InvalidError] with the place, never a policy that allows less than its author meant.
//
// It compares what policies say, not how they are written. It does not decide whether a policy allows a flow: that is
// the job of package policy.
package golden

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// MaxSize is the largest golden file that is read or written, in bytes.
const MaxSize = 1 << 20

// Header is the comment on top of a golden file, which says where the file comes from.
type Header struct {
	Test    string // the test's name as testing.TB.Name gives it; file names may differ from it
	Command string // the command that accepts a new recording

	// Package is the import path of a package that is recorded as a whole. Test is empty then.
	Package string

	// Tests are the tests that share the file, sorted. Each is a package's import path, a dot and the test's name. Test
	// is empty then.
	Tests []string
}

// CiliumNetworkPolicy is a policy of cilium.io/v2, limited to the fields that recordings write: a file with other
// fields is rejected.
type CiliumNetworkPolicy = cilium.NetworkPolicy

// Policy is a policy of one of the two dialects.
type Policy interface {
	*networkingv1.NetworkPolicy | *CiliumNetworkPolicy
	metav1.Object
}

// File is a golden file as it was read. Its policies are all of one dialect.
type File struct {
	Path     string
	Header   Header                        // a field is empty if the file has no such line
	Policies []*networkingv1.NetworkPolicy // in the order of the file; none for an empty file
	Cilium   []*CiliumNetworkPolicy        // the same, of the other dialect

	text      []byte // as it was read, byte for byte
	documents []document
}

func (h Header) equal(other Header) bool {
	return h.Test == other.Test && h.Package == other.Package && h.Command == other.Command &&
		slices.Equal(h.Tests, other.Tests)
}

// OtherTest returns the test that the header names, or "package" and the import path of the package, if it is not the
// given one, and "" otherwise. Such a file was copied, or two tests share it.
func (f *File) OtherTest(test string) string {
	owner := f.Header.Test
	if owner == "" && f.Header.Package != "" {
		owner = "package " + f.Header.Package
	}
	if owner == test {
		return ""
	}
	return owner
}

// document is a part of a file between two lines that end a document.
type document struct {
	kubeyaml.Document
	policies []metav1.Object // none for a document with only comments, or an empty list
	list     map[string]any  // the list object that holds the policies; nil if the document is a policy
}

// InvalidError describes a fault in a golden file, its place, and the fix.
type InvalidError struct {
	Path     string
	Document int    // counts from 1; 0 if the fault concerns the whole file
	Line     int    // counts from 1; 0 if unknown
	Field    string // such as "spec.egress[0].to"; empty if the fault is in no field
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

// name identifies a policy within one file.
type name struct{ namespace, name string }

func nameOf(p metav1.Object) name { return name{p.GetNamespace(), p.GetName()} }

func (n name) String() string {
	if n.namespace == "" {
		return n.name
	}
	return n.namespace + "/" + n.name
}

func (n name) compare(m name) int {
	return cmp.Or(cmp.Compare(n.namespace, m.namespace), cmp.Compare(n.name, m.name))
}

// byName returns the policies sorted by namespace and name, or an error if a name is missing or used twice.
func byName[P Policy](policies []P) ([]metav1.Object, error) {
	objects, err := objectsOf(policies)
	if err != nil {
		return nil, err
	}
	for _, p := range objects {
		of := dialectOf(p)
		if p.GetName() == "" {
			return nil, errors.New("a policy has no name")
		}
		if t := typeOf(p); t.Kind != "" && t.Kind != of.kind || t.APIVersion != "" && t.APIVersion != of.apiVersion {
			return nil, fmt.Errorf("policy %s is %s %s, not %s %s", nameOf(p), t.APIVersion, t.Kind, of.apiVersion, of.kind)
		}
	}
	sorted := slices.SortedStableFunc(slices.Values(objects),
		func(a, b metav1.Object) int { return nameOf(a).compare(nameOf(b)) })
	for i := 1; i < len(sorted); i++ {
		if nameOf(sorted[i-1]) == nameOf(sorted[i]) {
			return nil, fmt.Errorf("two policies are called %s", nameOf(sorted[i]))
		}
	}
	return sorted, nil
}

func objectsOf[P Policy](policies []P) ([]metav1.Object, error) {
	var objects []metav1.Object
	for _, p := range policies {
		if p == nil {
			return nil, errors.New("a policy has no name")
		}
		objects = append(objects, p)
	}
	return objects, nil
}
