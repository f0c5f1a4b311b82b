package conformance

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/internal/serve"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// hostileName is a workload of a recording that somebody else made.
const hostileName = "a\"b\\c\nnetzero_flows 7\n\x00\x1b\u202e\xff{}#é"

// measured returns the results of two tests of one workload, and one of another.
func measured() page.Run {
	result := func(workload string, lost uint64, to ...string) page.Result {
		r := page.Result{Result: report.Result{
			Report: report.Report{Workload: workload, Test: "Test", Golden: "a.yaml", Unused: []string{"rule 3"}},
			Losses: []recording.Loss{{What: "events", Count: lost}},
		}}
		for _, name := range to {
			f := flow.Flow{
				Source: flow.WorkloadEndpoint(workload), Destination: flow.WorkloadEndpoint(name), Protocol: flow.TCP, Port: 80,
			}
			if name == "denied" {
				f.Count, f.Refused = 3, 2
				r.Denied = append(r.Denied, report.Denied{Flow: f})
			}
			r.Flows = append(r.Flows, f)
		}
		return r
	}
	return page.Run{
		Results: []page.Result{
			result("shop", 1, "db", "denied"), result("shop", 2, "db", "cache"), result(hostileName, 0, hostileName),
		},
		Unread: []string{"broken.json: it is empty"},
	}
}

// scraped returns what Prometheus reads of a text: the values by metric and workload.
func scraped(t *testing.T, text []byte, format expfmt.Format) map[string]map[string]float64 {
	t.Helper()
	got := make(map[string]map[string]float64)
	for decoder := expfmt.NewDecoder(bytes.NewReader(text), format); ; {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatalf("Prometheus cannot read it: %v\n%s", err, text)
		}
		values := make(map[string]float64)
		for _, m := range family.GetMetric() {
			workload := ""
			for _, label := range m.GetLabel() {
				if label.GetName() != "workload" || !model.LabelValue(label.GetValue()).IsValid() {
					t.Errorf("label %s=%q", label.GetName(), label.GetValue())
				}
				workload = label.GetValue()
			}
			values[workload] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		got[family.GetName()] = values
	}
}

// Prometheus reads what the server and the textfile collector give it, and its linter finds nothing.
func TestMetrics_PrometheusReadsThem(t *testing.T) {
	run := measured()
	results := &serve.Results{Version: "1", Run: run}
	server := httptest.NewServer(serve.Handler(func() *serve.Results { return results }, nil))
	defer server.Close()
	answer, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	format := expfmt.ResponseFormat(answer.Header)
	if format.FormatType() != expfmt.TypeTextPlain {
		t.Fatalf("Prometheus does not know the content type %q", answer.Header.Get("Content-Type"))
	}
	hostile := report.Line(hostileName)
	want := map[string]map[string]float64{
		"netzero_flows":                  {"shop": 3, hostile: 1},
		"netzero_flows_denied":           {"shop": 1, hostile: 0},
		"netzero_requests_denied":        {"shop": 0, hostile: 0},
		"netzero_attempts_refused_total": {"shop": 2, hostile: 0},
		"netzero_rules_unused":           {"shop": 1, hostile: 1},
		"netzero_recording_lost_total":   {"shop": 3, hostile: 0},
		"netzero_recordings_unread":      {"": 1},
	}
	if diff := cmp.Diff(want, scraped(t, text, format)); diff != "" {
		t.Errorf("from the server (-want +got)\n%s", diff)
	}

	var reports []report.Result
	for _, r := range run.Results {
		reports = append(reports, r.Result)
	}
	file := report.Prometheus(reports)
	delete(want, "netzero_recordings_unread")
	if diff := cmp.Diff(want, scraped(t, file, format)); diff != "" {
		t.Errorf("from a file (-want +got)\n%s", diff)
	}
	for name, text := range map[string][]byte{"the server": text, "a file": file, "no results": report.Prometheus(nil)} {
		problems, err := promlint.New(bytes.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("metrics of %s: %v %+v", name, err, problems)
		}
	}
}
