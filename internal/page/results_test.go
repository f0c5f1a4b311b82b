package page

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestFlows_VerdictsAndEvidence(t *testing.T) {
	run := judgedRun(func(r *Result) { r.Test, r.Package = "TestShop", "example.com/shop" })
	got := Flows(run)
	shop, db := End{"shop", "workload"}, End{"db", "workload"}
	opened := []Fact{
		{"opened", "once, 1s after the recording started"}, {"by", "unknown: the kernel reported no process"},
	}
	want := []Flow{
		{
			Source: shop, Destination: db, Protocol: "TCP", Port: 1, Verdict: "denied", New: true, Count: 1,
			FirstMicros: time.Second.Microseconds(),
			Tests: []Observation{{
				Package: "example.com/shop", Test: "TestShop", Verdict: "denied", Policy: "shop", Reason: "no rule allows it",
				Evidence: opened,
			}},
		},
		{
			Source: shop, Destination: End{"kube-dns.kube-system", "resolver"}, Protocol: "UDP", Port: 53, Verdict: "denied",
			New: true, Implied: true,
			Tests: []Observation{{
				Package: "example.com/shop", Test: "TestShop", Verdict: "denied", Reason: "no rule allows it",
				Evidence: []Fact{{"implied", "by other flows: pods resolve names over UDP and TCP"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(got) != 5 {
		t.Errorf("%d flows, want 5", len(got))
	}
}

// All lists of an empty run are lists.
func TestResults_NoNull(t *testing.T) {
	bare := Run{Results: []Result{{Result: report.Result{Flows: []flow.Flow{to(1)}}}}}
	for reason, run := range map[string]Run{"nothing": {}, "a flow without facts": bare} {
		text, err := json.Marshal([]any{Flows(run), Policies(run)})
		if err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%s: %v: %s", reason, err, text)
		}
	}
}

func TestFlows_NoControlCharacters(t *testing.T) {
	f := to(1)
	f.Source.Name, f.Process.Name = hostile, hostile
	r := Result{Result: report.Result{Package: hostile, Flows: []flow.Flow{f}}}
	r.Test, r.Denied = hostile, []report.Denied{{Flow: f, Policy: hostile, Reason: hostile}}
	one := Flows(Run{Results: []Result{r}})[0]
	texts := []string{one.Source.Name, one.Tests[0].Package, one.Tests[0].Test, one.Tests[0].Policy, one.Tests[0].Reason}
	for _, fact := range one.Tests[0].Evidence {
		texts = append(texts, fact.Value)
	}
	for _, text := range texts {
		if report.Line(text) != text {
			t.Errorf("%q", text)
		}
	}
}

func TestPolicies_RulesAndUnused(t *testing.T) {
	run := judgedRun(func(r *Result) {
		r.Test, r.Package, r.Golden, r.Accept = "TestShop", "example.com/shop", "a.yaml", "go test -update"
		r.Unused = []string{"rule 2"}
	})
	want := []PolicyFile{{
		Package: "example.com/shop", Golden: "a.yaml", Tests: []string{"TestShop"}, Failed: true, Unused: []string{"rule 2"},
		Rules:       []Rule{{Policy: "shop", Rule: "rule 1 (pods app=db)", Flows: 1, Count: 1}},
		NotIsolated: []string{}, Accept: []string{"go test -update"},
	}}
	if diff := cmp.Diff(want, Policies(run)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
