package golden

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

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
//
// Rewrite fails if the policies have another dialect than the file, a name is missing or used twice, or [Read] would
// reject the result. It writes nothing: see [Update].
func (f *File) Rewrite(h Header, policies []Policy) ([]byte, error) {
	policies, err := sorted(policies)
	if err != nil {
		return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
	}
	if len(policies) > 0 && len(f.Policies) > 0 {
		if _, err := commonDialect([]Policy{f.Policies[0], policies[0]}); err != nil {
			return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
		}
	}
	wanted := make(map[objectName]Policy)
	for _, p := range policies {
		wanted[nameOf(p)] = p
	}

	var b strings.Builder
	replacesHeader := !f.Header.equal(h)
	if replacesHeader {
		b.WriteString(h.String())
	}
	changed := f.OtherTest(h.Test) != "" || !slices.Equal(f.Header.Tests, h.Tests)
	inHeader := true // up to and including the first policy
	missing := f.missing(policies)
	for i, d := range f.documents {
		comments, content := kubeyaml.LeadingComments(d.Body)
		if inHeader && replacesHeader {
			comments = withoutHeader(comments)
		}
		if d.IsEmpty() {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		inHeader = false
		updated, differs := d.updated(wanted)
		if d.canHold(missing) && f.isLast(i) {
			updated, differs, missing = append(updated, missing...), true, nil
		}
		if !differs {
			writeDocument(&b, d.Separator, comments+content)
			continue
		}
		changed = true
		text, err := d.edit(updated)
		if err != nil {
			return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
		}
		writeDocument(&b, d.Separator, comments+text)
	}
	for _, p := range missing {
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
	if err := verify(b.String(), append(f.others(policies), policies...)); err != nil {
		return nil, fmt.Errorf("rewrite golden %s: %w", f.Path, err)
	}
	return []byte(b.String()), nil
}

// missing returns the given policies that the file does not have.
func (f *File) missing(policies []Policy) []Policy {
	has := make(map[objectName]bool)
	for _, p := range f.all() {
		has[nameOf(p)] = true
	}
	return slices.DeleteFunc(slices.Clone(policies), func(p Policy) bool { return has[nameOf(p)] })
}

// isLast reports whether nothing but comments follows a document.
func (f *File) isLast(i int) bool {
	return !slices.ContainsFunc(f.documents[i+1:], func(d document) bool { return !d.IsEmpty() })
}

// updated returns the document's policies. A wanted one replaces a different one of the same name.
func (d document) updated(wanted map[objectName]Policy) (all []Policy, differs bool) {
	for _, p := range d.policies {
		if other := wanted[nameOf(p)]; other != nil && !same(other, p) {
			p, differs = other, true
		}
		all = append(all, p)
	}
	return all, differs
}

// edit returns the document's text after its leading comments, changed to hold the given policies.
func (d document) edit(policies []Policy) (string, error) {
	from, err := d.treeOf(d.policies)
	if err != nil {
		return "", err
	}
	to, err := d.treeOf(policies)
	if err != nil {
		return "", err
	}
	body, ok := d.Document.Edit(kubeyaml.Change{From: from, To: to, Identity: identityOf, Holds: func(body string) bool {
		got, invalid := decode(document{Document: kubeyaml.Document{Body: body, Line: 1}})
		return invalid == nil && slices.EqualFunc(got.policies, policies, func(a, b Policy) bool {
			return bytes.Equal(encode(strip(a)), encode(strip(b)))
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
func (f *File) others(policies []Policy) []Policy {
	replaced := make(map[objectName]bool)
	for _, p := range policies {
		replaced[nameOf(p)] = true
	}
	var others []Policy
	for _, p := range f.all() {
		if !replaced[nameOf(p)] {
			others = append(others, p)
		}
	}
	return others
}

// all returns the policies as they were read, whatever the caller has done to f.Policies.
func (f *File) all() []Policy {
	var all []Policy
	for _, d := range f.documents {
		all = append(all, d.policies...)
	}
	return all
}
