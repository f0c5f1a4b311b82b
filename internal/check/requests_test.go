package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var (
	charge    = flow.Request{Protocol: flow.HTTP, Method: "POST", Host: "billing:8080", Path: "/api/v1/charge"}
	invoice   = flow.Request{Protocol: flow.HTTP, Method: "GET", Host: "billing:8080", Path: "/api/v1/invoices/123"}
	invoices  = flow.Request{Protocol: flow.HTTP, Method: "GET", Host: "billing:8080", Path: "/api/v1/invoices"}
	customers = flow.Request{Protocol: flow.HTTP, Method: "GET", Host: "billing:8080", Path: "/customers/ann"}
	produce   = flow.Request{Protocol: flow.Kafka, Method: "produce", Topic: "alpha-telemetry"}
)

// charging returns a flow from checkout to billing with requests.
func charging(requests ...flow.Request) flow.Flow {
	slices.SortFunc(requests, flow.Request.Compare)
	return flow.Flow{
		Source: flow.WorkloadEndpoint("checkout"), Destination: flow.WorkloadEndpoint("billing"), Protocol: flow.TCP,
		Port: 8080, Count: 1, First: 1, Requests: requests,
	}
}

func opaque(f flow.Flow, why string) flow.Flow {
	f.Opaque = why
	return f
}

// requestTest is a test with the option Requests and a golden file of its own.
type requestTest struct {
	*testing.T
	options Options
}

func newRequestTest(t *testing.T) *requestTest {
	dir := t.TempDir()
	return &requestTest{t, Options{
		Test: "TestBilling", Package: Package{Dir: Dir(dir), Path: "example.com/shop"}, Accept: "go test -update",
		Golden: filepath.Join(dir, "golden.yaml"), Header: golden.Header{Test: "TestBilling"},
		Placement: placement.Options{Workload: "checkout", Rules: policy.Scope{Requests: true}},
	}}
}

func checkoutSends(flows ...flow.Flow) recording.Recording {
	return recording.Recording{Flows: flows, Workloads: []recording.Workload{{Name: "checkout"}}}
}

// run compares flows with the golden file, or updates it.
func (t *requestTest) run(update bool, flows ...flow.Flow) Result {
	t.Helper()
	o := t.options
	o.Update, o.File = update, ownFile(t.T, o.Golden, o.Test)
	result, err := Run(checkoutSends(flows...), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// list returns the list of requests in the golden file.
func (t *requestTest) list() string { return t.annotation(policy.RequestsAnnotation) }

func (t *requestTest) annotation(name string) string {
	t.Helper()
	file, err := golden.Read(t.options.Golden)
	if err != nil {
		t.Fatal(err)
	}
	return file.Policies[0].GetAnnotations()[name]
}

// denials returns the denied flows and requests of a report.
func denials(r report.Report) []string {
	var all []string
	for _, d := range r.Denied {
		text := d.Flow.Target()
		if d.Request != (flow.Request{}) {
			text += " " + d.Request.String()
		}
		all = append(all, text+": "+d.Reason)
	}
	return all
}

func (t *requestTest) passes(flows ...flow.Flow) report.Report {
	t.Helper()
	r := t.run(false, flows...).Report
	if r.Failed() {
		t.Errorf("the test fails: %s", r)
	}
	return r
}

func TestRequests_DeniedOneIsReportedAlone(t *testing.T) {
	for dialect, isCilium := range map[string]bool{"NetworkPolicy": false, "CiliumNetworkPolicy": true} {
		t.Run(dialect, func(t *testing.T) {
			test := newRequestTest(t)
			test.options.Placement.Cilium = isCilium
			test.run(true, charging(charge))
			if r := test.passes(charging(charge)); len(r.Notices) > 0 {
				t.Errorf("notices: %v", r.Notices)
			}
			queried := invoice
			queried.Query = "?page=2"
			result := test.run(false, charging(charge, invoice, queried, produce))
			got := denials(result.Report)
			if len(got) != 2 || !strings.HasPrefix(got[0], "billing:8080/TCP GET /api/v1/invoices/123: "+
				"GET /api/v1/invoices/123 is not in ") ||
				!strings.HasPrefix(got[1], "billing:8080/TCP produce alpha-telemetry: ") {
				t.Errorf("denied: %q", got)
			}
			for _, d := range result.Report.Denied {
				if d.WouldRefuse {
					t.Errorf("the kernel does not refuse %s", d.Request)
				}
			}
			test.run(true, charging(charge, invoice))
			test.passes(charging(charge, invoice))
			test.run(true, opaque(charging(charge), "TLS"))
			test.passes(opaque(charging(charge), "TLS"))
		})
	}
}

// If the port is denied, what would be sent to it does not matter.
func TestRequests_DeniedPortIsReportedOnce(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	elsewhere := charging(charge, invoice)
	elsewhere.Port = 9090
	for _, f := range []flow.Flow{elsewhere, opaque(elsewhere, "TLS")} {
		r := test.run(false, charging(charge), f).Report
		want := []string{"billing:9090/TCP: port 9090/TCP, rule 0 (pods app=billing) allows 8080/TCP"}
		if diff := cmp.Diff(want, denials(r)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestRequests_Update(t *testing.T) {
	test := newRequestTest(t)
	if r := test.run(false, charging(charge)).Report; !r.Missing ||
		!strings.Contains(r.Proposed, "netzero.dev/requests: billing:8080 POST /api/v1/charge\n") {
		t.Errorf("without a golden file:\n%s", r.Proposed)
	}
	for _, step := range []struct {
		reason string
		flows  []flow.Flow
		want   string
	}{
		{"the first", []flow.Flow{charging(charge)}, "billing:8080 POST /api/v1/charge"},
		{"one more", []flow.Flow{charging(charge, invoice)},
			"billing:8080 GET /api/v1/invoices/{digits},\nbilling:8080 POST /api/v1/charge"},
		{"one less", []flow.Flow{charging(invoice)}, "billing:8080 GET /api/v1/invoices/{digits}"},
		{"opaque", []flow.Flow{opaque(charging(invoice), "TLS")}, ""},
		{"understood again", []flow.Flow{charging(invoice)}, "billing:8080 GET /api/v1/invoices/{digits}"},
		{"one connection opaque", []flow.Flow{charging(invoice), opaque(charging(), "TLS")}, ""},
	} {
		test.run(true, step.flows...)
		if got := test.list(); got != step.want {
			t.Errorf("%s: the list is %q, want %q", step.reason, got, step.want)
		}
		test.passes(step.flows...)
	}
}

func TestRequests_FoldPaths(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(customers))
	test.options.Placement.Rules.FoldPaths = []string{"/customers/{name}"}
	other := customers
	other.Path = "/customers/bob"
	test.run(true, charging(customers, other))
	if got := test.list(); got != "billing:8080 GET /customers/{name}" {
		t.Errorf("the list is %q", got)
	}
	test.passes(charging(other))
}

func TestRequests_OpaqueAgainstList(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	r := test.run(false, opaque(charging(charge), "TLS")).Report
	want := []string{"billing:8080/TCP: TLS: its requests cannot be compared with the annotation netzero.dev/requests, " +
		"which lists POST /api/v1/charge for billing:8080"}
	if diff := cmp.Diff(want, denials(r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The list is for the flow that it denies, so it is not unused too.
func TestRequests_OpaqueUsesList(t *testing.T) {
	for _, isCilium := range []bool{false, true} {
		test := newRequestTest(t)
		test.options.Placement.Cilium, test.options.Strict = isCilium, true
		elsewhere := charging(charge)
		elsewhere.Port = 9090
		test.run(true, charging(charge, invoices), elsewhere)
		r := test.run(false, opaque(charging(charge), "TLS"), elsewhere).Report
		if len(r.Denied) != 1 || len(r.Unused) > 0 {
			t.Errorf("Cilium %v: denied %q, unused %q; want one denial and no unused rule", isCilium, denials(r), r.Unused)
		}
		if r := test.run(false, elsewhere).Report; len(r.Unused) == 0 {
			t.Errorf("Cilium %v: without the flow, its list is used", isCilium)
		}
	}
}

// A notice says that policies list no requests for a destination, once for each reason.
func TestRequests_OpaqueNotices(t *testing.T) {
	elsewhere := opaque(charging(), "TLS")
	elsewhere.Source = flow.WorkloadEndpoint("unrelated")
	elsewhere.Destination = flow.WorkloadEndpoint("unknown")
	again := opaque(charging(), "TLS")
	again.Destination.Evidence = flow.ByDNS
	flows := []flow.Flow{opaque(charging(charge), "TLS"), again, elsewhere}
	want := []recording.Notice{
		{Code: recording.CodeOpaqueRequests, Text: "billing:8080/TCP: policies list no requests: TLS"},
	}
	test := newRequestTest(t)
	first := test.run(false, flows...)
	test.run(true, flows...)
	second := test.run(false, flows...)
	file := RecordingFile(checkoutSends(flows...), nil, second, test.options)
	read, _, err := Evaluate(file, test.options)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]report.Report{"without a file": first.Report, "with it": second.Report, "read": read} {
		got := slices.DeleteFunc(r.Notices, func(n recording.Notice) bool { return n.Code == recording.CodeNoTests })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	test.options.Placement.Rules.Requests = false
	if r := test.run(false, flows...).Report; len(r.Notices) > 0 {
		t.Errorf("without the option: %v", r.Notices)
	}
}

func TestRequests_UnusedWithStrict(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge, invoices))
	test.options.Strict = true
	r := test.run(false, charging(charge)).Report
	if want := []string{"policy checkout: request billing:8080 GET /api/v1/invoices"}; !r.Failed() ||
		!slices.Equal(r.Unused, want) {
		t.Errorf("unused: %q, want %q", r.Unused, want)
	}
}

// Without the option, a test passes whatever the list has, and is told so.
func TestRequests_NotRecorded(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	test.options.Placement.Rules.Requests = false
	r := test.passes(charging())
	want := []recording.Notice{{Code: recording.CodeWideRule, Text: "policy checkout lists requests for billing:8080, " +
		"which this test does not record: add the option Requests"}}
	if diff := cmp.Diff(want, r.Notices); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	test.run(true, charging())
	if got := test.list(); got != "billing:8080 POST /api/v1/charge" {
		t.Errorf("an update makes the list %q", got)
	}
}

func TestRequests_Kafka(t *testing.T) {
	test := newRequestTest(t)
	broker := charging(produce)
	broker.Destination, broker.Port = flow.WorkloadEndpoint("kafka"), 9092
	test.run(true, broker)
	if got := test.annotation(policy.KafkaAnnotation); got != "produce alpha-telemetry" {
		t.Errorf("the list is %q", got)
	}
	test.passes(broker)
	fetch := produce
	fetch.Method = "fetch"
	broker.Requests = []flow.Request{fetch, produce}
	want := []string{"kafka:9092/TCP fetch alpha-telemetry: fetch alpha-telemetry is not in the annotation " +
		"netzero.dev/kafka, which lists produce alpha-telemetry"}
	if diff := cmp.Diff(want, denials(test.run(false, broker).Report)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The recording's file has a verdict on each request, and evaluating it gives the report of the test.
func TestRequests_InRecordingFile(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	other := opaque(charging(charge, invoice), "TLS")
	other.Port = 8081
	flows := []flow.Flow{charging(charge, invoice), other}
	result := test.run(false, flows...)
	path := filepath.Join(t.TempDir(), "a.json")
	if err := RecordingFile(checkoutSends(flows...), nil, result, test.options).Write(path); err != nil {
		t.Fatal(err)
	}
	file, err := recording.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]recording.Outcome
	for _, v := range file.Check.Verdicts[:2] {
		outcomes := []recording.Outcome{v.Outcome}
		for _, r := range v.Requests {
			outcomes = append(outcomes, r.Outcome)
		}
		got = append(got, outcomes)
	}
	want := [][]recording.Outcome{
		{recording.OutcomeDenied, recording.OutcomeAllowed, recording.OutcomeDenied}, {recording.OutcomeDenied},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	read, _, err := Evaluate(file, test.options)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(denials(result.Report), denials(read)); diff != "" {
		t.Errorf("denied (-test +file)\n%s", diff)
	}
}

// In a shared file each test reports the requests that no other test has reported, and the flows of a test without the
// option keep its policies from listing requests.
func TestRequests_Shared(t *testing.T) {
	base := newRequestTest(t)
	goldens := new(Register)
	run := func(test string, update, requests bool, flows ...flow.Flow) Result {
		t.Helper()
		o := base.options
		o.Test, o.Update, o.Placement.Rules.Requests = test, update, requests
		file, release, err := goldens.Begin(o.Golden, Member{Test: test, Package: o.Package, Shares: true, AtEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		o.File = file
		result, err := Run(checkoutSends(flows...), o)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	list := func(want string) {
		t.Helper()
		if got := base.list(); got != want {
			t.Errorf("the list is %q, want %q", got, want)
		}
	}
	other := charging()
	other.Destination = flow.WorkloadEndpoint("cart")
	run("TestA", true, true, charging(charge))
	run("TestB", true, true, charging(invoices))
	list("billing:8080 GET /api/v1/invoices,\nbilling:8080 POST /api/v1/charge")
	run("TestC", true, false, other)
	if sum := goldens.Check(nil, true); sum.Failed {
		t.Fatal(sum.Lines)
	}
	list("billing:8080 GET /api/v1/invoices,\nbilling:8080 POST /api/v1/charge")

	goldens = new(Register)
	first := run("TestA", false, true, charging(charge, invoice)).Report.Denied
	second := run("TestB", false, true, charging(invoices, invoice, customers)).Report.Denied
	if len(first) != 1 || first[0].ReportedBy != "" || len(second) != 2 || second[0].ReportedBy != "TestA" ||
		second[1].ReportedBy != "" || second[1].Request != customers {
		t.Errorf("TestA reports %+v, TestB %+v", first, second)
	}

	goldens = new(Register)
	run("TestA", true, true, charging(charge))
	run("TestB", true, true, charging(invoices))
	run("TestC", true, false, charging())
	if sum := goldens.Check(nil, true); sum.Failed {
		t.Fatal(sum.Lines)
	}
	list("")
}

// A goroutine that is left behind is reported once for each request.
func TestRequests_Leftovers(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	var l Leftovers
	l.Add(1, test.options)
	var got [][]string
	for _, requests := range [][]flow.Request{{invoice}, {invoice, customers}} {
		r, err := l.Check(1, checkoutSends(charging(requests...)), nil, "TestNext")
		if err != nil {
			t.Fatal(err)
		}
		var targets []string
		for _, d := range r.Denied {
			targets = append(targets, d.Request.Path)
		}
		got = append(got, targets)
	}
	if diff := cmp.Diff([][]string{{invoice.Path}, {customers.Path}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRequests_MalformedListHasALine(t *testing.T) {
	test := newRequestTest(t)
	test.run(true, charging(charge))
	text, err := os.ReadFile(test.options.Golden)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), "POST /api", "POST api", 1)
	if err := os.WriteFile(test.options.Golden, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = golden.Read(test.options.Golden)
	before, _, _ := strings.Cut(broken, "netzero.dev/requests")
	if invalid, is := err.(*golden.InvalidError); !is || invalid.Line != strings.Count(before, "\n")+1 ||
		!strings.Contains(err.Error(), "billing:8080 POST api/v1/charge") {
		t.Errorf("%v", err)
	}
}
