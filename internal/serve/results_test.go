package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resultsOf returns results of one test, whose flows to workloads on port 5432 are denied where the name says so.
func resultsOf(version string, to ...string) *Results {
	r := page.Result{Result: report.Result{
		Package: "example.com/shop/pay",
		Report: report.Report{
			Test: "TestPay", Workload: "pay", Golden: "testdata/netzero/TestPay.yaml", Module: "example.com/shop",
			Unused: []string{"rule 2"},
		},
		Losses: []recording.Loss{{What: "events", Count: 3}},
	}}
	for _, name := range to {
		f := flow.Flow{
			Source: flow.WorkloadEndpoint("pay"), Destination: flow.WorkloadEndpoint(name), Protocol: flow.TCP, Port: 5432,
			Count: 2, Process: flow.Process{PID: 7, Name: "pay.test", Stack: []flow.Frame{
				{Function: "example.com/shop/pay.Do", File: "/src/pay/pay.go", Line: 57},
			}},
		}
		r.Flows = append(r.Flows, f)
		if strings.HasPrefix(name, "denied") {
			r.Denied = append(r.Denied, report.Denied{Flow: f, Policy: "pay", Reason: "no rule allows pods app=" + name})
		}
	}
	return &Results{Version: version, Run: page.Run{Results: []page.Result{r}}}
}

// always returns a handler of the same results.
func always(r *Results, layout page.Layout) http.Handler {
	return Handler(func() *Results { return r }, layout)
}

func TestHandler_Page(t *testing.T) {
	url, _ := started(t, always(resultsOf("v1", "db", "denied-db"), nil))
	answer, text := ask(t, http.MethodGet, url, "")
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		answer.Header.Get("Content-Security-Policy") != page.LivePolicy() || answer.Header.Get("ETag") != `"v1"` {
		t.Errorf("status %d, header %v", answer.StatusCode, answer.Header)
	}
	for _, want := range []string{"denied-db", "TestPay", `name="netzero-version" content="v1"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	head, none := ask(t, http.MethodHead, url, "")
	if head.StatusCode != http.StatusOK || none != "" || head.ContentLength != int64(len(text)) {
		t.Errorf("HEAD: status %d, %d bytes, length %d", head.StatusCode, len(none), head.ContentLength)
	}
}

func TestHandler_Flows(t *testing.T) {
	results := resultsOf("v1", "db", "denied-db")
	results.Run.Unread = []string{"a.json: \x1b[31m it is empty"}
	url, _ := started(t, always(results, nil))
	answer, text := ask(t, http.MethodGet, url+"api/flows?verdict=denied", "")
	if got := answer.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	const want = `{"version":"v1","unread":["a.json: \\x1b[31m it is empty"],"flows":[{` +
		`"source":{"name":"pay","kind":"workload"},"destination":{"name":"denied-db","kind":"workload"},` +
		`"protocol":"TCP","port":5432,"verdict":"denied","new":true,"implied":false,"count":2,"wouldRefuse":0,` +
		`"refused":0,"firstMicros":0,` +
		`"tests":[{"package":"example.com/shop/pay","test":"TestPay","verdict":"denied","policy":"pay",` +
		`"reason":"no rule allows pods app=denied-db","evidence":[{"name":"opened",` +
		`"value":"2 times, first under 1ms after the recording started"},{"name":"at","value":"pay/pay.go:57 Do"},` +
		`{"name":"by","value":"pay.test (pid 7), exited before its command line was read"}]}],"requests":[]}]}` + "\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHandler_FlowsFiltered(t *testing.T) {
	base, _ := started(t, always(resultsOf("v1", "db", "denied-db"), nil))
	for _, row := range []struct {
		query string
		want  string // destinations
	}{
		{"", "[denied-db db]"},
		{"workload=db", "[db]"},
		{"workload=pay", "[denied-db db]"},
		{"workload=other", "[]"},
		{"verdict=allowed", "[db]"},
		{"verdict=allowed&verdict=denied", "[denied-db db]"},
		{"verdict=allowed&workload=denied-db", "[]"},
		{"verdict=no+policy", "[]"},
		{"package=example.com/shop/pay&verdict=denied", "[denied-db]"},
		{"package=example.com/shop", "[]"},
	} {
		_, text := ask(t, http.MethodGet, base+"api/flows?"+row.query, "")
		var got struct{ Flows []page.Flow }
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Flows == nil {
			t.Errorf("%s: %v: %s", row.query, err, text)
		}
		names := []string{}
		for _, f := range got.Flows {
			names = append(names, f.Destination.Name)
		}
		if fmt.Sprint(names) != row.want {
			t.Errorf("%s: %v, want %s", row.query, names, row.want)
		}
	}
	for _, row := range []struct{ reason, query, want string }{
		{"a parameter that there is not", "workloads=db", `unknown parameter \"workloads\": the parameters are package, `},
		{"a verdict that there is not", "verdict=refused", `unknown verdict \"refused\": the verdicts are denied, no `},
		{"no query", "%zz", "invalid URL escape"},
		{"a hostile name", url.QueryEscape("</script>\x1b") + "=", `unknown parameter`},
	} {
		answer, text := ask(t, http.MethodGet, base+"api/flows?"+row.query, "")
		if answer.StatusCode != http.StatusBadRequest || !strings.HasPrefix(text, `{"error":"`) ||
			!strings.Contains(text, row.want) || strings.Contains(text, "</script>") {
			t.Errorf("%s: status %d: %s", row.reason, answer.StatusCode, text)
		}
	}
}

func TestHandler_Policies(t *testing.T) {
	url, _ := started(t, always(resultsOf("v1", "denied-db"), nil))
	_, text := ask(t, http.MethodGet, url+"api/policies", "")
	const want = `{"version":"v1","unread":[],"files":[{"package":"example.com/shop/pay",` +
		`"golden":"testdata/netzero/TestPay.yaml","tests":["TestPay"],"missing":false,"failed":true,"rules":[],` +
		`"unused":["rule 2"],"notIsolated":[],"accept":[]}]}` + "\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHandler_Metrics(t *testing.T) {
	results := resultsOf("v1", "db", "denied-db")
	results.Run.Unread = []string{"a.json: it is empty"}
	url, _ := started(t, always(results, nil))
	answer, text := ask(t, http.MethodGet, url+"metrics", "")
	if got := answer.Header.Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	for _, want := range []string{
		"netzero_flows{workload=\"pay\"} 2\n", "netzero_flows_denied{workload=\"pay\"} 1\n",
		"netzero_rules_unused{workload=\"pay\"} 1\n", "netzero_recording_lost_total{workload=\"pay\"} 3\n",
		"# TYPE netzero_recordings_unread gauge\nnetzero_recordings_unread 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestHandler_OtherMethodsAndPaths(t *testing.T) {
	url, _ := started(t, always(resultsOf("v1", "db"), nil))
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{http.MethodPost, "", http.StatusMethodNotAllowed},
		{http.MethodDelete, "api/flows", http.StatusMethodNotAllowed},
		{http.MethodOptions, "metrics", http.StatusMethodNotAllowed},
		{http.MethodPut, "api/version", http.StatusMethodNotAllowed},
		{http.MethodGet, "api", http.StatusNotFound},
		{http.MethodGet, "api/", http.StatusNotFound},
		{http.MethodGet, "index.html", http.StatusNotFound},
		{http.MethodGet, "../go.mod", http.StatusNotFound},
		{http.MethodGet, "%2e%2e/go.mod", http.StatusNotFound},
		{http.MethodGet, ".git/config", http.StatusNotFound},
	} {
		if answer, text := ask(t, row.method, url+row.path, ""); answer.StatusCode != row.want {
			t.Errorf("%s /%s: status %d, want %d: %s", row.method, row.path, answer.StatusCode, row.want, text)
		}
	}
}

// A client that has the results does not get them again, until there are others.
func TestHandler_NotModified(t *testing.T) {
	var current atomic.Pointer[Results]
	current.Store(resultsOf("v1", "db"))
	url, _ := started(t, Handler(current.Load, nil))
	for _, path := range []string{"", "api/version", "api/flows", "api/policies", "metrics"} {
		current.Store(resultsOf("v1", "db"))
		for _, want := range []int{http.StatusNotModified, http.StatusOK} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("If-None-Match", `"v1"`)
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("/%s: status %d, want %d", path, answer.StatusCode, want)
			}
			current.Store(resultsOf("v2", "db"))
		}
	}
}

// The page is made once for the same results, whoever reads it, and again for others.
func TestHandler_LaysOutOnce(t *testing.T) {
	var current atomic.Pointer[Results]
	var layouts atomic.Int32
	layout := func(g page.Graph) (page.Positions, error) {
		layouts.Add(1)
		at := page.Positions{Width: 1, Height: 1, Nodes: make([]page.Point, len(g.Nodes))}
		for range g.Edges {
			at.Edges = append(at.Edges, make([]page.Point, 4))
		}
		return at, nil
	}
	url, _ := started(t, Handler(current.Load, layout))
	for i := range 3 {
		current.Store(resultsOf(fmt.Sprint("v", i), "db"))
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				answer, err := http.Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("status %d", answer.StatusCode)
				}
			})
		}
		clients.Wait()
		if got := int(layouts.Load()); got != i+1 {
			t.Errorf("%d layouts of %d results", got, i+1)
		}
	}
}

func TestHandler_LayoutFails(t *testing.T) {
	url, _ := started(t, always(resultsOf("v1", "db"), func(page.Graph) (page.Positions, error) {
		return page.Positions{}, errors.New("no <memory>")
	}))
	answer, text := ask(t, http.MethodGet, url, "")
	if answer.StatusCode != http.StatusInternalServerError || !strings.Contains(text, "draw graph: no <memory>") ||
		answer.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("status %d, %s: %s", answer.StatusCode, answer.Header.Get("Content-Type"), text)
	}
	if answer, _ := ask(t, http.MethodGet, url+"api/flows", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("flows: status %d", answer.StatusCode)
	}
}
