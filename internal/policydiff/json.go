package policydiff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"

	"github.com/netzero-dev/netzero/internal/policy"
)

type jsonFile struct {
	Path     string        `json:"path,omitempty"`
	Subjects []jsonSubject `json:"subjects"`
	Others   []jsonFlow    `json:"otherFlows,omitempty"`
}

type jsonSubject struct {
	Name      string       `json:"name"`
	Namespace string       `json:"namespace,omitempty"`
	Selector  string       `json:"selector"`
	Kind      string       `json:"kind"`
	Changes   []jsonChange `json:"changes"`
}

type jsonChange struct {
	Allows    string     `json:"allows"` // "more" or "less"
	Direction string     `json:"direction"`
	Kind      Kind       `json:"kind"`
	Text      string     `json:"text"`
	Peer      string     `json:"peer,omitempty"`
	Ports     string     `json:"ports,omitempty"`
	Rules     []Origin   `json:"rules,omitempty"`
	Allowed   []string   `json:"allowed,omitempty"` // by the rules of an isolation
	Flows     []jsonFlow `json:"flows,omitempty"`
}

type jsonFlow struct {
	Source string      `json:"source"`
	Target string      `json:"target"`
	Tests  []string    `json:"tests"`
	Before jsonVerdict `json:"before"`
	After  jsonVerdict `json:"after"`
}

type jsonVerdict struct {
	Outcome string `json:"outcome"`
	Policy  string `json:"policy,omitempty"`
	Rule    int    `json:"rule"`
	Reason  string `json:"reason"`
}

// WriteJSON writes the differences as an object with the field "files": one element for each file that differs. Every
// character that a terminal could interpret is escaped.
func WriteJSON(w io.Writer, files []File) error {
	all := struct {
		Files []jsonFile `json:"files"`
	}{[]jsonFile{}}
	for _, f := range files {
		if !f.Differs() {
			continue
		}
		v := jsonFile{Path: f.Path, Subjects: []jsonSubject{}, Others: toFlows(f.Others)}
		for _, s := range f.Subjects {
			subject := jsonSubject{Name: s.Name, Namespace: s.Namespace, Selector: s.Selector, Kind: string(s.Dialect)}
			for _, c := range s.Changes {
				subject.Changes = append(subject.Changes, jsonChange{
					Allows: word(c.More, "more", "less"), Direction: c.Direction.String(), Kind: c.Kind,
					Text: c.Sentence(func(name string) string { return name }),
					Peer: c.Peer, Ports: c.Ports, Rules: c.Rules, Allowed: c.Allowed, Flows: toFlows(c.Flows),
				})
			}
			v.Subjects = append(v.Subjects, subject)
		}
		all.Files = append(all.Files, v)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := w.Write(printable(text.String()))
	return err
}

func toFlows(flows []Flow) []jsonFlow {
	var all []jsonFlow
	for _, f := range flows {
		all = append(all, jsonFlow{f.Source, f.Target, f.Tests, toVerdict(f.Before), toVerdict(f.After)})
	}
	return all
}

func toVerdict(v policy.Verdict) jsonVerdict {
	return jsonVerdict{v.Outcome.String(), v.Policy, v.Rule, v.Reason}
}

// printable escapes the characters of JSON that are not printable. Outside of its strings, JSON has only line ends.
func printable(text string) []byte {
	var b bytes.Buffer
	for _, r := range text {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			first, second := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, first, second)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
