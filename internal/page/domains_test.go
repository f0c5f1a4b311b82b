package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestRegistered_Names(t *testing.T) {
	for name, want := range map[string]string{
		"api.stripe.com":                      "stripe.com",
		"stripe.com":                          "stripe.com",
		"a.b.example.co.uk":                   "example.co.uk",
		"bucket.s3.eu-west-1.amazonaws.com":   "amazonaws.com",
		"netzero-dev.github.io":               "github.io",
		"shard-*.db.example.net":              "example.net",
		"db.eu.corp.internal":                 "corp.internal",
		"localhost":                           "localhost",
		"com":                                 "com",
		"":                                    "",
		".":                                   ".",
		strings.Repeat("a.", 200) + "test.de": "test.de",
	} {
		if got := registered(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// star returns flows of a workload to so many names, which the format makes.
func star(names int, format string) Run {
	var r Result
	for i := range names {
		f := to(443)
		f.Destination, f.Count = flow.ExternalHost(fmt.Sprintf(format, i)), uint64(names-i)
		r.Flows = append(r.Flows, f)
	}
	return Run{Results: []Result{r}}
}

// drawnGraph returns the labels of the nodes, the number of lines, and what is left out.
func drawnGraph(t *testing.T, run Run) (labels []string, lines int, more string) {
	t.Helper()
	m := newModel(run)
	d, err := draw(m, columns)
	if err != nil {
		t.Fatal(err)
	}
	page := decoded(t, rendered(t, run, columns))
	for _, n := range d.Nodes {
		label := page.Strings[page.Nodes[n.Index][0]]
		if n.Label != shorten(label) {
			t.Errorf("the script knows node %q as %q", n.Label, label)
		}
		labels = append(labels, label)
	}
	for _, e := range d.Edges {
		if max(e.From, e.To) >= len(page.Nodes) {
			t.Errorf("the script does not know the ends of edge %d to %d", e.From, e.To)
		}
	}
	return labels, len(d.Edges), d.More
}

func TestGraph_GroupsDomains(t *testing.T) {
	run := star(maxNodes-1, "name-%d.example.com")
	if labels, lines, more := drawnGraph(t, run); len(labels) != maxNodes || lines != maxNodes-1 || more != "" {
		t.Errorf("a small graph has %d nodes and %d lines: %s", len(labels), lines, more)
	}
	run = star(maxNodes, "name-%d.example.com")
	run.Results[0].Flows = append(run.Results[0].Flows, to(5432))
	run.Results[0].Flows[1].Destination.Name = "example.com" // not below itself
	run.Results[0].Flows[2].Destination.Name = "api.stripe.com"
	run.Results[0].Denied = []report.Denied{{Flow: run.Results[0].Flows[0]}}
	labels, lines, more := drawnGraph(t, run)
	want := []string{"db", "shop", "api.stripe.com", "example.com", "*.example.com"}
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Errorf("nodes (-want +got)\n%s", diff)
	}
	if want := "A node with an asterisk is all names below a domain."; lines != 4 || more != want {
		t.Errorf("%d lines: %s", lines, more)
	}
}

func TestGraph_Limits(t *testing.T) {
	run := star(maxNodes+20, "name.example-%d.com")
	last := run.Results[0].Flows[maxNodes+19] // with the least traffic
	run.Results[0].Denied = []report.Denied{{Flow: last}}
	labels, lines, more := drawnGraph(t, run)
	if len(labels) != maxNodes || lines != maxNodes-1 ||
		!strings.Contains(more, "Shown are 80 of 101 nodes and 79 of 100 lines: those with denied flows") {
		t.Errorf("%d nodes, %d lines: %s", len(labels), lines, more)
	}
	all := strings.Join(labels, " ")
	if !strings.Contains(all, last.Destination.Name) || strings.Contains(all, "name.example-98.com") {
		t.Errorf("not those with denied flows and the most traffic: %s", all)
	}

	var dense Result
	for i := range 400 {
		f := to(1)
		f.Source.Name, f.Destination.Name = fmt.Sprint("a", i%20), fmt.Sprint("b", i/20)
		dense.Flows = append(dense.Flows, f)
	}
	if labels, lines, more := drawnGraph(t, Run{Results: []Result{dense}}); len(labels) > 40 || lines != maxLines ||
		!strings.Contains(more, "300 of 400 lines") {
		t.Errorf("%d nodes, %d lines: %s", len(labels), lines, more)
	}
}
