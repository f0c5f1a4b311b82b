package golden

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Format returns the text of a golden file: the header as a comment, then the policies sorted by namespace and name.
//
// The same policies give the same bytes; within a policy the order of rules, peers and ports is kept.
//
// Format fails if the policies are of both dialects, a name is missing or used twice, or [Read] would reject the text
// or read it differently.
func Format(h Header, policies []Policy) ([]byte, error) {
	policies, err := sorted(policies)
	if err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	text, err := policyTexts(policies)
	if err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	text = h.String() + text
	if err := verify(text, policies); err != nil {
		return nil, fmt.Errorf("format golden: %w", err)
	}
	return []byte(text), nil
}

// policyTexts returns policies as documents of one file.
func policyTexts(policies []Policy) (string, error) {
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
func policyText(p Policy) (string, error) {
	text, err := kubeyaml.Marshal(strip(p))
	if err != nil {
		return "", fmt.Errorf("write policy %s as YAML: %w", nameOf(p), err)
	}
	return string(text), nil
}

// verify reads a text back and compares it with the intended policies, by their names.
//
// A golden file outlives the run that wrote it. Without this check a mistake here would only show in a later run.
func verify(text string, policies []Policy) error {
	if len(text) > MaxSize {
		return fmt.Errorf("the file has %d bytes, more than %d MiB", len(text), MaxSize>>20)
	}
	f, err := Parse("(about to be written)", []byte(text))
	if err != nil {
		return err
	}
	read := make(map[objectName]Policy)
	for _, p := range f.Policies {
		read[nameOf(p)] = p
	}
	for _, p := range policies {
		if got := read[nameOf(p)]; got == nil || !same(p, got) {
			return fmt.Errorf("policy %s would change when it is read back", nameOf(p))
		}
	}
	return nil
}
