package golden

import (
	"bytes"
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Rewrite returns the text of the file with the given policies in it, for -update over a file that exists.
//
// A policy takes the place of the document with its namespace and name; the comments before and after that document
// stay, those within go. Documents with other names are somebody's own and stay as they are, in place. New policies
// follow at the end. Where every given policy is in the file already, and says the same, the result is the file as it
// was read, byte for byte; otherwise line ends become LF and the header is renewed.
func (f *File) Rewrite(h Header, policies []*networkingv1.NetworkPolicy) ([]byte, error) {
	return rewrite(f, h, policies)
}

// RewriteCilium is Rewrite for the other dialect.
func (f *File) RewriteCilium(h Header, policies []*CiliumNetworkPolicy) ([]byte, error) {
	return rewrite(f, h, policies)
}

func rewrite[P Policy](f *File, h Header, policies []P) ([]byte, error) {
	sorted, err := byName(policies)
	if err != nil {
		return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
	}
	pending := make(map[name]metav1.Object)
	for _, p := range sorted {
		pending[nameOf(p)] = p
	}

	var b strings.Builder
	b.WriteString(h.String())
	changed := f.OtherTest(h.Test) != ""
	inHeader := true // up to and including the first policy
	for _, d := range f.documents {
		comments, content := kubeyaml.LeadingComments(d.Body)
		if inHeader {
			comments = withoutHeader(comments)
		}
		if d.policy == nil {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		inHeader = false
		p := pending[nameOf(d.policy)]
		delete(pending, nameOf(d.policy))
		if p == nil || same(p, d.policy) {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		changed = true
		text, err := policyText(p)
		if err != nil {
			return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
		}
		_, after := kubeyaml.TrailingComments(content)
		writeDocument(&b, d.Separator, comments+text+after)
	}
	for _, p := range sorted {
		if pending[nameOf(p)] == nil {
			continue
		}
		changed = true
		text, err := policyText(p)
		if err != nil {
			return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
		}
		separator := ""
		if needsSeparator(b.String()) {
			separator = "---\n"
		}
		writeDocument(&b, separator, text)
	}
	if !changed {
		return bytes.Clone(f.text), nil
	}
	if err := check(b.String(), append(f.others(sorted), sorted...)); err != nil {
		return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
	}
	return []byte(b.String()), nil
}

// writeDocument appends a document, on a line of its own.
func writeDocument(b *strings.Builder, separator, body string) {
	for _, s := range []string{separator, body} {
		if text := b.String(); s != "" && text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(s)
	}
	if text := b.String(); !strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
}

// needsSeparator reports whether a policy cannot simply follow the text: there is one before it, since the last "---".
func needsSeparator(text string) bool {
	documents := kubeyaml.Split(text)
	last := documents[len(documents)-1]
	_, content := kubeyaml.LeadingComments(last.Body)
	return content != "" || strings.HasPrefix(last.Separator, "...")
}

// others returns the file's policies that none of the given ones replaces.
func (f *File) others(policies []metav1.Object) []metav1.Object {
	replaced := make(map[name]bool)
	for _, p := range policies {
		replaced[nameOf(p)] = true
	}
	var others []metav1.Object
	for _, p := range f.all() {
		if !replaced[nameOf(p)] {
			others = append(others, p)
		}
	}
	return others
}

// all returns the file's policies, of whichever dialect.
func (f *File) all() []metav1.Object {
	var all []metav1.Object
	for _, d := range f.documents {
		if d.policy != nil {
			all = append(all, d.policy)
		}
	}
	return all
}
