package golden

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Rewrite returns the text of the file with the given policies in it, for -update of an existing file.
//
// Rewrite changes the document or list item with the namespace and name of a given policy until it is equivalent to
// that policy. It changes no other line: entries that remain keep their text, with comments, quotes, style and order. A
// comment in a rule or directly above it is removed with the rule. If an anchor prevents a change, its aliases are
// expanded. Documents with other names belong to the user and stay in place, unchanged. New policies follow at the end,
// or in the list at the end of the file. If the file already holds every given policy, the result is the file byte for
// byte. Otherwise line ends become LF, and an outdated header is replaced.
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
	renewed := !f.Header.equal(h)
	if renewed {
		b.WriteString(h.String())
	}
	changed := f.OtherTest(h.Test) != "" || !slices.Equal(f.Header.Tests, h.Tests)
	inHeader := true         // up to and including the first policy
	added := f.added(sorted) // policies that no document has
	for i, d := range f.documents {
		comments, content := kubeyaml.LeadingComments(d.Body)
		if inHeader && renewed {
			comments = withoutHeader(comments)
		}
		if d.IsEmpty() {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		inHeader = false
		policies, differs := d.with(pending)
		if d.takes(added) && f.isLast(i) {
			policies, differs, added = append(policies, added...), true, nil
		}
		if !differs {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		changed = true
		text, err := d.saying(policies)
		if err != nil {
			return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
		}
		writeDocument(&b, d.Separator, comments+text)
	}
	for _, p := range added {
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

// added returns the given policies that are missing from the file.
func (f *File) added(policies []metav1.Object) []metav1.Object {
	has := make(map[name]bool)
	for _, p := range f.all() {
		has[nameOf(p)] = true
	}
	return slices.DeleteFunc(slices.Clone(policies), func(p metav1.Object) bool { return has[nameOf(p)] })
}

// isLast reports whether nothing but comments follows a document.
func (f *File) isLast(i int) bool {
	return !slices.ContainsFunc(f.documents[i+1:], func(d document) bool { return !d.IsEmpty() })
}

// with returns the document's policies, with the given ones in place of different ones of the same name.
func (d document) with(policies map[name]metav1.Object) (all []metav1.Object, differs bool) {
	for _, p := range d.policies {
		if other := policies[nameOf(p)]; other != nil && !same(other, p) {
			p, differs = other, true
		}
		all = append(all, p)
	}
	return all, differs
}

// saying returns the document's text after its leading comments, changed to hold the given policies.
func (d document) saying(policies []metav1.Object) (string, error) {
	from, err := d.treeOf(d.policies)
	if err != nil {
		return "", err
	}
	to, err := d.treeOf(policies)
	if err != nil {
		return "", err
	}
	body, ok := d.Edit(kubeyaml.Change{From: from, To: to, Identity: identityOf, Holds: func(body string) bool {
		got, invalid := decode(document{Document: kubeyaml.Document{Body: body, Line: 1}})
		return invalid == nil && slices.EqualFunc(got.policies, policies, func(a, b metav1.Object) bool {
			return bytes.Equal(encode(plain(a)), encode(plain(b)))
		})
	}})
	if ok {
		_, content := kubeyaml.LeadingComments(body)
		return content, nil
	}
	text, err := policyTexts(policies)
	_, content := kubeyaml.LeadingComments(d.Body)
	_, after := kubeyaml.TrailingComments(content)
	return text + after, err
}

// identityOf returns the name of a list element that stays the same when the rest of the element changes.
func identityOf(element any) string {
	object, _ := element.(map[string]any)
	if metadata, ok := object["metadata"].(map[string]any); ok { // a policy in a list
		return string(encode([]any{metadata["namespace"], metadata["name"]}))
	}
	if selector, has := object["endpointSelector"]; has { // a spec among several
		return string(encode(selector))
	}
	return peersOf(element)
}

// peersOf names a rule by its peers: a rule with other ports is still the same rule.
func peersOf(element any) string {
	rule, _ := element.(map[string]any)
	peers := make(map[string]any)
	for _, field := range []string{"to", "from", "toEndpoints", "toFQDNs", "toCIDR", "toCIDRSet", "toEntities",
		"fromEndpoints", "fromCIDR", "fromCIDRSet", "fromEntities"} {
		if list, has := rule[field]; has {
			peers[field] = list
		}
	}
	if len(peers) == 0 {
		return ""
	}
	return string(encode(peers))
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
		all = append(all, d.policies...)
	}
	return all
}
