package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

// evaluated returns a recording that was read from a file, and options for a golden file with this text, if any.
func evaluated(t *testing.T, text string, incomplete error) (recording.File, Options) {
	t.Helper()
	o := Options{
		Test: "TestQuote", Package: Package{Dir: Dir(t.TempDir()), Path: "example.com/shop"},
		Module: "example.com/shop", Accept: "go test -update",
	}
	o.Placement.Workload = "checkout"
	o.Golden = filepath.Join(string(o.Package.Dir), "golden.yaml")
	if text != "" {
		if err := os.WriteFile(o.Golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	live := checkedRecording()
	live.EphemeralPorts = nil
	v := RecordingFile(live, incomplete, Result{}, o)
	path := filepath.Join(string(o.Package.Dir), "recording.json")
	if err := v.Write(path); err != nil {
		t.Fatal(err)
	}
	v, err := recording.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return v, o
}

const committed = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
  - {to: [{podSelector: {matchLabels: {app: search}}}], ports: [{port: 9200}]}
`

func TestEvaluate_SameVerdictsAsTheTest(t *testing.T) {
	v, o := evaluated(t, committed, nil)
	got, flows, err := Evaluate(v, o)
	if err != nil {
		t.Fatal(err)
	}
	o.File = ownFile(t, o.Golden, o.Test)
	want, err := Run(v.Recording, o)
	if err != nil {
		t.Fatal(err)
	}
	want.Report.Diff, got.Diff, want.Report.Unused = "", "", nil
	if diff := cmp.Diff(want.Report.String(), got.String()); diff != "" {
		t.Errorf("(-test +file)\n%s", diff)
	}
	if len(got.Denied) == 0 || len(got.Denied[0].Flow.Process.Stack) == 0 {
		t.Errorf("no place in the code: %+v", got.Denied)
	}
	if len(flows) != len(v.Placed.Flows) {
		t.Errorf("%d flows, want %d", len(flows), len(v.Placed.Flows))
	}
}

func TestEvaluate_Diff(t *testing.T) {
	v, o := evaluated(t, committed, nil)
	got, _, err := Evaluate(v, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Diff, "app: ftp") || strings.Contains(got.Diff, "-      app: search") {
		t.Errorf("the diff is not what the recording needs:\n%s", got.Diff)
	}
}

func TestEvaluate_GoldenFiles(t *testing.T) {
	for _, row := range []struct {
		reason, golden string
		incomplete     error
		want           report.Report
	}{
		{"none", "", nil, report.Report{Missing: true, Accept: "go test -update"}},
		{"none, of an incomplete recording", "", errors.New("lost"), report.Report{Lost: "lost", Accept: "go test -update"}},
		{
			"another command", "# accept: go test -run X -update\n" + committed, nil,
			report.Report{Accept: "go test -run X -update"},
		},
	} {
		v, o := evaluated(t, row.golden, row.incomplete)
		got, _, err := Evaluate(v, o)
		if err != nil {
			t.Fatal(err)
		}
		got = report.Report{Missing: got.Missing, Lost: got.Lost, Accept: got.Accept}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", row.reason, diff)
		}
	}
}

// A golden file that the test cannot use is in its report and in its recording's file, besides the error.
func TestRun_UnusableGolden(t *testing.T) {
	const shared = "# shared by: example.com/shop.TestOther\n"
	for _, row := range []struct {
		reason, golden string
		isCilium       bool
		want           string
		line           int
	}{
		{"not YAML", "kind: NetworkPolicy\n\tmetadata:\n", false, "read golden golden.yaml: document 1, line 2: not YAML", 2},
		{"another kind", "# A comment.\nkind: Pod\n", false, "read golden golden.yaml: document 1, line 2: kind: ", 2},
		{"another dialect", committed, true, "golden.yaml holds a NetworkPolicy, the option Cilium()", 0},
		{"of tests that share it", shared + committed, false, "golden.yaml is shared by example.com/shop.TestOther", 0},
	} {
		v, o := evaluated(t, row.golden, nil)
		o.File, o.Placement.Cilium = ownFile(t, o.Golden, o.Test), row.isCilium
		result, err := Run(v.Recording, o)
		if err == nil {
			t.Errorf("%s: no error", row.reason)
		}
		got := RecordingFile(v.Recording, nil, result, o)
		if r := result.Report; !strings.HasPrefix(r.Unusable, row.want) || r.UnusableLine != row.line || !r.Failed() {
			t.Errorf("%s: line %d, want %q at line %d: %s", row.reason, r.UnusableLine, row.want, row.line, r.Unusable)
		}
		if got.Unusable != result.Report.Unusable || got.Check != nil || got.Partial || got.Failed {
			t.Errorf("%s: the file is %+v", row.reason, got)
		}
	}
}

// Each test of a shared file fails for a mistake in it, and one of them has the annotation.
func TestRun_UnusableSharedGolden(t *testing.T) {
	v, o := evaluated(t, "kind: Pod\n", nil)
	goldens := new(Register)
	for _, row := range []struct{ test, by string }{{"TestA", ""}, {"TestB", "TestA"}, {"TestC", "TestA"}} {
		var err error
		o.Test = row.test
		o.File, _, err = goldens.Begin(o.Golden, Member{Test: row.test, Shares: true})
		if err != nil {
			t.Fatal(err)
		}
		result, err := Run(v.Recording, o)
		if err == nil || result.Report.Unusable == "" || result.Report.UnusableReportedBy != row.by {
			t.Errorf("%s: reported by %q, want %q: %v", row.test, result.Report.UnusableReportedBy, row.by, err)
		}
	}
}

func TestEvaluate_Malformed(t *testing.T) {
	v, o := evaluated(t, "# A comment.\nkind: Pod\n", nil)
	got, flows, err := Evaluate(v, o)
	if err != nil || len(flows) != len(v.Placed.Flows) {
		t.Errorf("%d flows, want %d: %v", len(flows), len(v.Placed.Flows), err)
	}
	if !strings.HasPrefix(got.Unusable, "read golden golden.yaml: document 1, line 2: kind:") || got.UnusableLine != 2 ||
		!got.Failed() {
		t.Errorf("line %d, failed %v: %s", got.UnusableLine, got.Failed(), got.Unusable)
	}
}
