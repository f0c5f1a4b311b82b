package page

import (
	"time"

	"github.com/netzero-dev/netzero/internal/report"
)

const (
	maxStatic = 200 // flows in the page for browsers without scripts
	maxSeen   = 5   // tests of a flow whose evidence the page has
)

// data is what the script reads. Texts are indexes into Strings, so that those that flows share are written once.
type data struct {
	Strings []string `json:"strings"`
	Nodes   [][2]int `json:"nodes"` // label and kind; then the domains of the graph
	Tests   [][3]int `json:"tests"` // package, name, and what distinguishes the recording
	// Flows are: source, destination, port, protocol, verdict, new, count, first in microseconds, first as text, tests,
	// evidence, attempts that the kernel would refuse, attempts that it refused, requests, their number, and why they are
	// not known.
	Flows    [][16]any `json:"flows"`
	Verdicts []string  `json:"verdicts"`
}

// table collects texts.
type table struct {
	texts []string
	index map[string]int
}

func (t *table) add(text string) int {
	i, known := t.index[text]
	if !known {
		i = len(t.texts)
		t.index[text] = i
		t.texts = append(t.texts, text)
	}
	return i
}

func newData(m *model) data {
	d := data{Nodes: [][2]int{}, Tests: [][3]int{}, Flows: [][16]any{}, Verdicts: verdictNames[:]}
	texts := table{index: make(map[string]int)}
	for _, n := range m.ends() {
		d.Nodes = append(d.Nodes, [2]int{texts.add(n.Label), texts.add(n.Kind.String())})
	}
	for _, t := range m.Tests {
		d.Tests = append(d.Tests, [3]int{texts.add(t.Package), texts.add(t.Name), texts.add(t.Recording)})
	}
	for _, one := range m.Rows {
		isNew := 0
		if one.New {
			isNew = 1
		}
		d.Flows = append(d.Flows, [16]any{
			one.From, one.To, texts.add(one.Port), texts.add(one.Protocol), int(one.Verdict), isNew, one.Count,
			one.First.Microseconds(), texts.add(one.Elapsed()), one.Tests, one.evidence(&texts),
			one.WouldRefuse, one.Refused, one.requestData(&texts), len(one.Requests), texts.add(one.Opaque),
		})
	}
	d.Strings = texts.texts
	return d
}

// evidence returns what tests know of a flow: for each the test, the verdict, and pairs of a label and a text. Those
// with the worst verdict come first.
func (r row) evidence(texts *table) [][]int {
	all := [][]int{}
	for v := range verdict(len(verdictNames)) {
		for _, o := range r.Seen {
			if o.Verdict != v || len(all) == maxSeen {
				continue
			}
			one := []int{o.Test, int(o.Verdict)}
			for _, f := range o.Facts {
				one = append(one, texts.add(f.Name), texts.add(f.Value))
			}
			if text := o.Reason.String(); text != "" {
				one = append(one, texts.add(o.Verdict.String()), texts.add(text))
			}
			all = append(all, one)
		}
	}
	return all
}

// Elapsed returns when the flow was first seen: "+1.2s".
func (r row) Elapsed() string {
	if r.Implied {
		return "implied"
	}
	if r.First < time.Millisecond {
		return "<1ms"
	}
	return "+" + report.Elapsed(r.First)
}

// staticRow is a flow in the page for browsers without scripts.
type staticRow struct {
	row
	Source, Destination string
}

// FirstRows returns the flows for browsers without scripts.
func (m *model) FirstRows() []staticRow {
	var all []staticRow
	for _, one := range m.Rows[:min(len(m.Rows), maxStatic)] {
		all = append(all, staticRow{one, m.Nodes[one.From].Label, m.Nodes[one.To].Label})
	}
	return all
}

// More reports whether there are more flows than browsers without scripts show.
func (m *model) More() bool { return len(m.Rows) > maxStatic }

// Static returns the number of flows that browsers without scripts show.
func (m *model) Static() int { return maxStatic }

// IsTimed reports whether times count from the start of the run.
func (m *model) IsTimed() bool { return !m.started.IsZero() }
