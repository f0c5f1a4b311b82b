// Package golden reads, compares and writes one committed policy file: the golden file of a test.
//
// It does not guess. An unknown field, another kind of object, a duplicate key or an accidentally empty list is an
// [InvalidError] that names the place. It never becomes a policy that allows less than intended.
//
// It compares the meaning of policies, not their text. It does not decide whether a policy allows a flow: package
// netzerotest does.
package golden

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// MaxSize is the largest golden file that is read or written, in bytes.
const MaxSize = 16 << 20

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

// File is a golden file as it was read. All of its policies are of one dialect.
type File struct {
	Path     string
	Header   Header   // a field is empty if the file has no such line
	Dialect  Dialect  // empty if there are no policies
	Policies []Policy // in the order of the file

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
	policies []Policy       // none for a document with only comments, or an empty list
	list     map[string]any // the list object that holds the policies; nil if the document is a policy
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

// objectName identifies a policy within one file.
type objectName struct{ namespace, name string }

func nameOf(p Policy) objectName { return objectName{p.GetNamespace(), p.GetName()} }

func (n objectName) String() string {
	if n.namespace == "" {
		return n.name
	}
	return n.namespace + "/" + n.name
}

func (n objectName) compare(m objectName) int {
	return cmp.Or(cmp.Compare(n.namespace, m.namespace), cmp.Compare(n.name, m.name))
}

func compareNames(a, b Policy) int { return nameOf(a).compare(nameOf(b)) }

// sorted returns policies sorted by namespace and name. It returns an error if they are not of one dialect, or a name
// is missing or used twice.
func sorted(policies []Policy) ([]Policy, error) {
	d, err := commonDialect(policies)
	if err != nil {
		return nil, err
	}
	for _, p := range policies {
		if p.GetName() == "" {
			return nil, errors.New("a policy has no name")
		}
		version, kind := d.apiVersion(), string(d.dialect())
		if t := d.typeMeta(p); t.Kind != "" && t.Kind != kind || t.APIVersion != "" && t.APIVersion != version {
			return nil, fmt.Errorf("policy %s is %s %s, not %s %s", nameOf(p), t.APIVersion, t.Kind, version, kind)
		}
	}
	all := slices.SortedStableFunc(slices.Values(policies), compareNames)
	for i := 1; i < len(all); i++ {
		if nameOf(all[i-1]) == nameOf(all[i]) {
			return nil, fmt.Errorf("two policies are called %s", nameOf(all[i]))
		}
	}
	return all, nil
}

// Line returns the line of a field of a policy in the file, such as "spec.egress[0]"; 0 if it is not known. It is the
// line of the innermost part of the field that the file has.
func (f *File) Line(p Policy, field string) int {
	for _, d := range f.documents {
		i := slices.Index(d.policies, p)
		if i < 0 {
			continue
		}
		if d.list != nil {
			field = itemPath(i) + "." + field
		}
		return d.Lines().Of(field)
	}
	return 0
}
