package netzerotest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/internal/settings"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// attributedRun is a test whose attributes are known.
type attributedRun struct {
	testRun
	attributes map[string]string
	failures   *[]string // the texts of failures; nil if these fail this test
}

func (r attributedRun) Attr(key, value string) { r.attributes[key] = value }

func (r attributedRun) Errorf(format string, args ...any) {
	if r.failures == nil {
		r.testRun.Errorf(format, args...)
		return
	}
	*r.failures = append(*r.failures, fmt.Sprintf(format, args...))
}

// clearEnvironment unsets what decides whether and where results are shown.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"CI", "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "NETZERO", "NETZERO_CI", "NETZERO_UPDATE", "NETZERO_RECORDINGS",
		"NETZERO_RING_BYTES", "NETZERO_MAX_FLOWS", "NETZERO_ENFORCE",
	} {
		t.Setenv(name, "")
	}
}

// published returns what a recording shows in an environment: its attributes and the step summary.
func published(t *testing.T, variables string, of report.Report) (attributes map[string]string, summary string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "summary.md")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clearEnvironment(t)
	t.Setenv("GITHUB_STEP_SUMMARY", file)
	for _, v := range strings.Fields(variables) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	run := attributedRun{testRun{t}, make(map[string]string), nil}
	r := &Recording{tb: run}
	var err error
	if r.settings, err = settings.Read(packageDir.Join); err != nil {
		t.Fatal(err)
	}
	r.publish(of, []Flow{{Source: flow.WorkloadEndpoint("checkout"), Destination: flow.WorkloadEndpoint("db")}})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return run.attributes, string(text)
}

func TestPublish(t *testing.T) {
	// It has a section and no findings: this repository's CI would show annotations.
	missing := report.Report{
		Test: t.Name(), Golden: "testdata/netzero/TestPublish.yaml", Missing: true, MissingReportedBy: "TestOther",
	}
	attributes := map[string]string{
		"netzero.golden": "netzerotest/testdata/netzero/TestPublish.yaml", "netzero.flows": "1", "netzero.denied": "0",
		"netzero.unused": "0",
	}
	if _, err := os.Stat(packageDir.Join("../go.mod")); err != nil { // the binary runs alone, without the repository
		attributes["netzero.golden"] = "testdata/netzero/TestPublish.yaml"
	}
	leftover := missing
	leftover.RunningTest = "TestOther"
	none := map[string]string{}
	for _, row := range []struct {
		reason, variables string
		report            report.Report
		attributes        map[string]string
		isSummary         bool
	}{
		{"no CI", "", missing, none, false},
		{"GitHub's variables outside of CI", "GITHUB_ACTIONS=true", missing, none, false},
		{"off", "CI=true GITHUB_ACTIONS=true NETZERO_CI=off", missing, none, false},
		{"another CI", "CI=true", missing, attributes, false},
		{"GitHub", "CI=true GITHUB_ACTIONS=true", missing, attributes, true},
		{"GitHub without a summary", "CI=true GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=", missing, attributes, false},
		{"flows that another test left behind", "CI=true GITHUB_ACTIONS=true", leftover, none, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			got, summary := published(t, row.variables, row.report)
			if diff := cmp.Diff(row.attributes, got); diff != "" {
				t.Errorf("attributes (-want +got)\n%s", diff)
			}
			if isSummary := strings.Contains(summary, "<code>db</code>"); isSummary != row.isSummary {
				t.Errorf("the summary is %q", summary)
			}
		})
	}
}

// A mistake in a golden file is shown in CI too. The attributes stand for the rest, because this repository's CI would
// show annotations.
func TestPublish_UnusableGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golden.yaml")
	if err := os.WriteFile(path, []byte("kind: Pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clearEnvironment(t)
	t.Setenv("CI", "true")
	var failures []string
	run := attributedRun{testRun{t}, make(map[string]string), &failures}
	r := &Recording{tb: run, golden: path}
	var err error
	if r.settings, err = settings.Read(packageDir.Join); err != nil {
		t.Fatal(err)
	}
	var release func()
	if r.file, release, err = new(check.Register).Begin(path, check.Member{Test: t.Name()}); err != nil {
		t.Fatal(err)
	}
	defer release()
	result := r.check(recording.Recording{Workloads: []recording.Workload{{Name: "checkout"}}})
	if len(failures) != 1 || !strings.Contains(failures[0], "read golden "+path+": document 1, line 1: kind: ") {
		t.Errorf("the failures are %q", failures)
	}
	if result.Report.UnusableLine != 1 || !result.Report.Failed() {
		t.Errorf("the report is %+v", result.Report)
	}
	if got := run.attributes["netzero.flows"]; got != "0" {
		t.Errorf("the result was not shown: %v", run.attributes)
	}
}

// Types of test frameworks embed a nil testing.TB, and lack methods of later versions of Go.
func TestPublish_FrameworkWithoutAttributes(t *testing.T) {
	testRun{struct{ testing.TB }{}}.Attr("netzero.flows", "1")
}
