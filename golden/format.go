package golden

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Format returns the text of a golden file: the header as a comment, then the policies sorted by namespace and name.
//
// The same policies give the same bytes; within a policy the order of rules, peers and ports is kept. A text that
// [Read] would refuse or read differently is an error.
func Format[P Policy](h Header, policies []P) ([]byte, error) {
	sorted, err := byName(policies)
	if err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	text, err := policyTexts(sorted)
	if err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	text = h.String() + text
	if err := check(text, sorted); err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	return []byte(text), nil
}

// policyTexts returns policies as documents of one file.
func policyTexts(policies []metav1.Object) (string, error) {
	var texts []string
	for _, p := range policies {
		text, err := policyText(p)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "---\n"), nil
}

// policyText returns one policy as YAML, as kubectl takes it.
func policyText(p metav1.Object) (string, error) {
	text, err := kubeyaml.Marshal(plain(p))
	if err != nil {
		return "", fmt.Errorf("write policy %s as YAML: %w", nameOf(p), err)
	}
	return string(text), nil
}

// check reads a text back and compares it with the intended policies, by their names.
//
// A golden file outlives the run that wrote it. Without this check a mistake here would only show in a later run.
func check(text string, policies []metav1.Object) error {
	if len(text) > MaxSize {
		return fmt.Errorf("the text has %d bytes, more than 1 MiB", len(text))
	}
	f, err := parse("(about to be written)", []byte(text))
	if err != nil {
		return err
	}
	read := make(map[name]metav1.Object)
	for _, p := range f.all() {
		read[nameOf(p)] = p
	}
	for _, p := range policies {
		if got := read[nameOf(p)]; got == nil || !same(p, got) {
			return fmt.Errorf("policy %s would not be read back as it is", nameOf(p))
		}
	}
	return nil
}
