package page

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
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
			Requests: []Request{},
		},
		{
			Source: shop, Destination: End{"kube-dns.kube-system", "resolver"}, Protocol: "UDP", Port: 53, Verdict: "denied",
			New: true, Implied: true,
			Tests: []Observation{{
				Package: "example.com/shop", Test: "TestShop", Verdict: "denied", Reason: "no rule allows it",
				Evidence: []Fact{{"implied", "by other flows: pods resolve names over UDP and TCP"}},
			}},
			Requests: []Request{},
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

// A denied request makes its flow denied, but not the flow's other requests.
func TestFlows_Requests(t *testing.T) {
	request := func(method, path string) flow.Request {
		return flow.Request{Protocol: flow.HTTP, Method: method, Host: "db", Path: path, Query: "?token=secret"}
	}
	fetch := flow.Request{Protocol: flow.Kafka, Method: "fetch", Topic: "payments"}
	run := judgedRun(func(r *Result) {
		asking := r.Flows[1]
		asking.Requests = []flow.Request{request("POST", "/charge"), request("GET", "/invoices/1"), fetch}
		r.Flows[1], r.Flows[2].Opaque = asking, "TLS"
		r.Denied = append(r.Denied, report.Denied{
			Flow: asking, Request: request("GET", "/invoices/1"), Policy: "shop", Reason: "GET /invoices/1 is not listed",
		})
	})
	got := make(map[int]Flow)
	for _, f := range Flows(run) {
		got[f.Port] = f
	}
	const rule = "rule 1 (pods app=db)"
	want := []Request{
		{
			Protocol: "HTTP", Method: "GET", Path: "/invoices/1", Verdict: "denied", Policy: "shop",
			Reason: "GET /invoices/1 is not listed",
		},
		{Protocol: "HTTP", Method: "POST", Path: "/charge", Verdict: "allowed", Policy: "shop", Reason: rule},
		{Protocol: "Kafka", Method: "fetch", Topic: "payments", Verdict: "allowed", Policy: "shop", Reason: rule},
	}
	if diff := cmp.Diff(want, got[2].Requests); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if f := got[2]; f.Verdict != "denied" || !f.New || f.Tests[0].Reason != "GET /invoices/1 is not listed" {
		t.Errorf("a flow with a denied request: %+v", f)
	}
	if got[3].Opaque != "TLS" || len(got[3].Requests) != 0 {
		t.Errorf("an opaque flow: %+v", got[3])
	}
}

// Each request has the rule that allowed it, and each rule the flow.
func TestFlows_RulesOfRequests(t *testing.T) {
	run := judgedRun(func(r *Result) {
		r.Flows[1].Requests = []flow.Request{
			{Protocol: flow.HTTP, Method: "GET", Path: "/a"}, {Protocol: flow.HTTP, Method: "GET", Path: "/b"},
		}
		r.File.Placed.Flows = recording.FromFlows(r.Flows)
		r.File.Check.Verdicts[1].Requests = []recording.Verdict{
			{Outcome: recording.OutcomeAllowed, Policy: "shop", Reason: "rule 1 (GET /a)"},
			{Outcome: recording.OutcomeAllowed, Policy: "shop", Reason: "rule 2 (GET /b)"},
		}
	})
	var got []string
	for _, f := range Flows(run) {
		for _, r := range f.Requests {
			got = append(got, r.Path+": "+r.Reason)
		}
	}
	for _, r := range Policies(run)[0].Rules {
		got = append(got, fmt.Sprintf("%s: %d", r.Rule, r.Flows))
	}
	want := []string{"/a: rule 1 (GET /a)", "/b: rule 2 (GET /b)", "rule 1 (GET /a): 1", "rule 2 (GET /b): 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Two tests send one request, and one of them may not.
func TestFlows_RequestsOfSeveralTests(t *testing.T) {
	asking := to(2)
	asking.Requests = []flow.Request{{Protocol: flow.HTTP, Method: "GET", Path: "/"}}
	run := judgedRun(func(r *Result) { r.Flows[1] = asking })
	run.Results = append(run.Results, judgedRun(func(r *Result) {
		r.Flows[1] = asking
		r.Denied = append(r.Denied, report.Denied{Flow: asking, Request: asking.Requests[0]})
	}).Results...)
	for _, f := range Flows(run) {
		if f.Port == 2 && (len(f.Requests) != 1 || f.Requests[0].Verdict != "denied" || f.Requests[0].Reason == "") {
			t.Errorf("%+v", f.Requests)
		}
	}
}

func TestRender_ManyRequests(t *testing.T) {
	run := judgedRun(func(r *Result) {
		for i := range 1500 {
			r.Flows[1].Requests = append(r.Flows[1].Requests, flow.Request{
				Protocol: flow.HTTP, Method: "GET", Path: fmt.Sprintf("/<b>/%04d", i),
			})
		}
		denied := report.Denied{Flow: r.Flows[1], Request: r.Flows[1].Requests[1499]}
		r.Denied = append(r.Denied, denied)
	})
	text := rendered(t, run, nil)
	for _, want := range []string{
		"<summary>1,500 requests</summary><ul><li><span class=\"verdict denied\">denied</span> HTTP " +
			"<code>GET /&lt;b&gt;/1499</code></li>",
		"<summary>980 more</summary>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(text, "/0999<") || strings.Contains(text, "<b>") {
		t.Error("the page has requests above its limit, or one as HTML")
	}
}

func TestFlows_NoControlCharacters(t *testing.T) {
	f := to(1)
	f.Requests = []flow.Request{{Protocol: flow.HTTP, Method: hostile, Path: hostile}}
	f.Opaque = hostile
	f.Source.Name, f.Process.Name = hostile, hostile
	r := Result{Result: report.Result{Package: hostile, Flows: []flow.Flow{f}}}
	r.Test, r.Denied = hostile, []report.Denied{{Flow: f, Policy: hostile, Reason: hostile}}
	one := Flows(Run{Results: []Result{r}})[0]
	texts := []string{one.Source.Name, one.Tests[0].Package, one.Tests[0].Test, one.Tests[0].Policy, one.Tests[0].Reason}
	texts = append(texts, one.Opaque, one.Requests[0].Method, one.Requests[0].Path)
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
