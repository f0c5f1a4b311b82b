package command

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// reportedModule is a repository with a module in a directory, and the recordings of its package.
type reportedModule struct{ root, dir, recordings string }

const reportedPolicy = `# accept: go test example.com/shop/pay -run '^TestPay$' -update
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pay}
spec:
  podSelector: {matchLabels: {app: pay}}
  policyTypes: [Egress]
  egress:
  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
`

func newReportedModule(t *testing.T) reportedModule {
	t.Helper()
	root := t.TempDir()
	m := reportedModule{root, filepath.Join(root, "services"), filepath.Join(root, "recordings")}
	for name, text := range map[string]string{
		".git/HEAD":                                  "",
		"recordings/README":                          "no recording",
		"services/go.mod":                            "module example.com/shop\n\ngo 1.25\n",
		"services/pay/pay.go":                        "package pay\n",
		"services/pay/pay_test.go":                   "package pay\n\nfunc TestPay(t *T) {}\n",
		"services/pay/testdata/netzero/TestPay.yaml": reportedPolicy,
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// write writes the recording of a test with flows to workloads, and returns its file.
func (m reportedModule) write(t *testing.T, test string, change func(*recording.File), to ...string) string {
	t.Helper()
	var flows []flow.Flow
	for _, name := range to {
		flows = append(flows, flow.Flow{
			Source: flow.WorkloadEndpoint("pay"), Destination: flow.WorkloadEndpoint(name), Protocol: flow.TCP, Port: 5432,
			Count: 1, Process: flow.Process{Name: "pay.test", Stack: []flow.Frame{
				{Function: "example.com/shop/pay.(*Client).Do", File: "/build/pay/client.go", Line: 57},
			}},
		})
	}
	v := recording.File{
		Version: recording.Version, Test: test, Package: "example.com/shop/pay",
		Golden:    "testdata/netzero/" + test + ".yaml",
		Recording: recording.Recording{Flows: flows, Workloads: []recording.Workload{{Name: "pay"}}},
		Placed:    recording.Placed{Flows: recording.FromFlows(flows), Workloads: []recording.Workload{{Name: "pay"}}},
	}
	if change != nil {
		change(&v)
	}
	file := filepath.Join(m.recordings, test+".json")
	if err := v.Write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// run runs netzero report in the module.
func (m reportedModule) run(args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = dispatch(append([]string{"report", "-C", m.dir}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

func TestReport_Formats(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db", "ledger")
	m.write(t, "TestNew", nil, "db")
	m.write(t, "TestLost", func(v *recording.File) {
		v.Incomplete, v.Recording.Losses = "3 flows were lost", []recording.Loss{{What: "flows", Count: 3}}
	})
	for _, row := range []struct {
		format string
		want   []string
	}{
		{"markdown", []string{
			"| <code>example.com/shop/pay</code> | <code>TestPay</code> | failed: 1 unexpected flow |",
			"<code>ledger</code>", "<code>pay/client.go:57 &#40;&#42;Client&#41;.Do</code>", "+",
			"go test example.com/shop/pay -run '^TestPay$' -update\n",
			"| <code>TestNew</code> | failed: no committed policy |",
			"go test example.com/shop/pay -run '^TestNew$' -update\n",
			"| <code>TestLost</code> | failed: recording incomplete |",
		}},
		{"html", []string{
			"<!DOCTYPE html>", "ledger", "no policy committed", "client.go:57", "3 failed",
			"go test example.com/shop/pay -run &#39;^TestNew$&#39; -update",
		}},
		{"junit", []string{`classname="example.com/shop/pay" name="TestPay"`, `failures="3"`}},
		{"sarif", []string{`"uri": "services/pay/client.go"`, `"startLine": 57`, `"netzero/missing-policy"`}},
		{"prometheus", []string{
			"netzero_flows{workload=\"pay\"} 2\n", "netzero_flows_denied{workload=\"pay\"} 1\n",
			"netzero_recording_lost_total{workload=\"pay\"} 3\n",
		}},
	} {
		status, text, stderr := m.run("-format", row.format, m.recordings)
		if status != statusOK || stderr != "" {
			t.Errorf("%s: status %d: %s", row.format, status, stderr)
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", row.format, want, text)
			}
		}
		var value any
		switch row.format {
		case "sarif":
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				t.Error(err)
			}
		case "junit":
			var element struct{ XMLName xml.Name }
			if err := xml.Unmarshal([]byte(text), &element); err != nil || element.XMLName.Local != "testsuites" {
				t.Errorf("%v: %+v", err, element)
			}
		}
		again := filepath.Join(t.TempDir(), "report")
		if status, _, stderr := m.run("-format", row.format, "-o", again, m.recordings); status != statusOK {
			t.Errorf("%s: status %d: %s", row.format, status, stderr)
		}
		written, err := os.ReadFile(again)
		if diff := cmp.Diff(text, string(written)); err != nil || diff != "" {
			t.Errorf("%s: %v: another text in a file (-stdout +file)\n%s", row.format, err, diff)
		}
	}
}

func TestReport_PageHasGraph(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db", "ledger")
	status, text, stderr := m.run("-format", "html", m.recordings)
	if status != statusOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{
		"<title>pay, workload: ", "<title>db, workload: ", "<title>ledger, workload: ",
		"<title>pay to db: 1 flow, seen once", "<title>pay to ledger: 1 flow, seen once, 1 denied",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the graph has no %q", want)
		}
	}
	// The denied flow implies a lookup, which cluster DNS answers.
	for what, want := range map[string]int{`<g class="node `: 4, `<g class="edge `: 3} {
		if got := strings.Count(text, what); got != want {
			t.Errorf("%d times %q, want %d", got, what, want)
		}
	}
}

func TestReport_FormatOfFile(t *testing.T) {
	m := newReportedModule(t)
	pay := m.write(t, "TestPay", nil, "db")
	for _, row := range []struct{ args, want string }{
		{"-o report.html", "<!DOCTYPE html>"},
		{"-o REPORT.HTML", "<!DOCTYPE html>"},
		{"-o report.html -format markdown", "## NetZero"},
		{"-o netzero.prom", "# HELP netzero_flows "},
		{"-o report.md", "## NetZero"},
		{"-o report", "## NetZero"},
		{"-o report.txt -format html", "<!DOCTYPE html>"},
	} {
		args := strings.Fields(row.args)
		args[1] = filepath.Join(t.TempDir(), args[1])
		if status, _, stderr := m.run(append(args, pay)...); status != statusOK {
			t.Errorf("%s: status %d: %s", row.args, status, stderr)
		}
		if text, err := os.ReadFile(args[1]); err != nil || !strings.HasPrefix(string(text), row.want) {
			t.Errorf("%s: %v: the file does not start with %q:\n%.80s", row.args, err, row.want, text)
		}
	}
}

func TestReport_Passed(t *testing.T) {
	m := newReportedModule(t)
	file := m.write(t, "TestPay", func(v *recording.File) { v.Placed.Flows = v.Placed.Flows[:0] })
	status, text, _ := m.run("-format", "prometheus", file)
	if status != statusOK || !strings.Contains(text, "netzero_flows_denied{workload=\"pay\"} 0\n") ||
		!strings.Contains(text, "netzero_rules_unused{workload=\"pay\"} 1\n") {
		t.Errorf("status %d\n%s", status, text)
	}
}

const sharedPolicy = `# shared by: example.com/shop/bill.TestBill
# shared by: example.com/shop/pay.TestGone
# shared by: example.com/shop/pay.TestPay
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pay}
spec:
  podSelector: {matchLabels: {app: pay}}
  policyTypes: [Egress]
  egress:
  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
  - {to: [{podSelector: {matchLabels: {app: ledger}}}], ports: [{port: 5432}]}
  - {to: [{podSelector: {matchLabels: {app: legacy}}}], ports: [{port: 9200}]}
  - to:
    - podSelector: {matchLabels: {k8s-app: kube-dns}}
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
`

// A rule of a file that packages share is unused if none of their tests needed it, and all of them have recorded.
func TestReport_UnusedRulesOfSharedFile(t *testing.T) {
	m := newReportedModule(t)
	for name, text := range map[string]string{
		"services/policies.yaml":     sharedPolicy,
		"services/bill/bill.go":      "package bill\n",
		"services/bill/bill_test.go": "package bill\n\nfunc TestBill(t *T) {}\n",
	} {
		file := filepath.Join(m.root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	share := func(pkg string, change func(*recording.File)) func(*recording.File) {
		return func(v *recording.File) {
			v.Package, v.Golden = "example.com/shop/"+pkg, "../policies.yaml"
			if change != nil {
				change(v)
			}
		}
	}
	m.write(t, "TestPay", share("pay", nil), "db")
	m.write(t, "TestBill", share("bill", nil), "ledger")
	fault := filepath.Join(m.dir, "policies.yaml")
	if err := os.WriteFile(fault, []byte("kind: Pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, text, _ := m.run("-format", "sarif", m.recordings)
	if strings.Count(text, `"ruleId": "netzero/invalid-policy"`) != 1 {
		t.Errorf("not one result for the mistake in the file that two tests share:\n%s", text)
	}
	if err := os.WriteFile(fault, []byte(sharedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	pay := m.write(t, "TestPay", share("pay", nil), "db")
	bill := m.write(t, "TestBill", share("bill", nil), "ledger")
	const rule, unknown = "legacy", "rules that may be unused: "
	for _, row := range []struct {
		reason    string
		change    func(*recording.File) // of the recording of TestBill
		paths     []string
		isUnused  bool
		isUnknown bool
	}{
		{"all have recorded", nil, []string{pay, bill}, true, false},
		{"one test is missing", nil, []string{pay}, false, true},
		{"one test ran in part", func(v *recording.File) { v.Partial = true }, []string{pay, bill}, false, true},
		{"one test failed", func(v *recording.File) { v.Failed = true }, []string{pay, bill}, false, true},
		{
			"one recording is incomplete", func(v *recording.File) { v.Incomplete = "1 lost" },
			[]string{pay, bill}, false, true,
		},
	} {
		m.write(t, "TestBill", share("bill", row.change), "ledger")
		for format, want := range map[string]int{"markdown": 1, "sarif": 1, "html": 1} {
			if !row.isUnused {
				want = 0
			}
			status, text, stderr := m.run(append([]string{"-format", format}, row.paths...)...)
			if got := strings.Count(text, rule); status != statusOK || got != want {
				t.Errorf("%s: %s: status %d, the rule is there %d times, want %d: %s\n%s", row.reason, format, status, got, want,
					stderr, text)
			}
			if format == "html" && strings.Contains(text, unknown) != row.isUnknown {
				t.Errorf("%s: the page has a notice: %v, want %v", row.reason, !row.isUnknown, row.isUnknown)
			}
		}
		want := `netzero_rules_unused{workload="pay"} 0`
		if row.isUnused {
			want = `netzero_rules_unused{workload="pay"} 1`
		}
		if _, text, _ := m.run(append([]string{"-format", "prometheus"}, row.paths...)...); !strings.Contains(text, want) {
			t.Errorf("%s: no %s in\n%s", row.reason, want, text)
		}
	}
}

// Of several recordings of a test, any may need a rule, and one of them has to be complete.
func TestReport_UnusedRulesOfSeveralRecordings(t *testing.T) {
	m := newReportedModule(t)
	empty := func(partial bool) string {
		file := m.write(t, "TestPay", func(v *recording.File) {
			v.Partial, v.Placed.Flows = partial, nil
		})
		moved := strings.TrimSuffix(file, ".json") + "-empty.json"
		if err := os.Rename(file, moved); err != nil {
			t.Fatal(err)
		}
		return moved
	}
	for _, row := range []struct {
		reason string
		files  func() []string
		want   string
	}{
		{"none needs it", func() []string { return []string{empty(false)} }, "1"},
		{"one in part", func() []string { return []string{empty(true)} }, "0"},
		{"another needs it", func() []string { return []string{empty(false), m.write(t, "TestPay", nil, "db")} }, "0"},
	} {
		_, text, stderr := m.run(append([]string{"-format", "prometheus"}, row.files()...)...)
		if want := `netzero_rules_unused{workload="pay"} ` + row.want + "\n"; !strings.Contains(text, want) {
			t.Errorf("%s: no %s in %s\n%s", row.reason, want, stderr, text)
		}
	}
}

// A mistake in one golden file is a result of its test: the report has the others all the same.
func TestReport_UnusableGolden(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db")
	m.write(t, "TestBad", nil, "db")
	bad := filepath.Join(m.dir, "pay", "testdata", "netzero", "TestBad.yaml")
	if err := os.WriteFile(bad, []byte("# A comment.\nkind: Pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		format string
		want   []string
	}{
		{"markdown", []string{
			"| <code>TestBad</code> | failed: the committed policy cannot be used |",
			"| <code>TestPay</code> | failed: 1 unexpected flow |",
			"read golden testdata/netzero/TestBad.yaml: document 1, line 2: kind: ",
		}},
		{"html", []string{"unusable policy", "TestPay"}},
		{"junit", []string{"read golden&#xA;  testdata/netzero/TestBad.yaml: document 1, line 2: kind:", "TestPay"}},
		{"sarif", []string{
			`"ruleId": "netzero/invalid-policy"`, `"uri": "services/pay/testdata/netzero/TestBad.yaml"`, `"startLine": 2`,
		}},
	} {
		status, text, stderr := m.run("-format", row.format, m.recordings)
		if status != statusOK || stderr != "" {
			t.Errorf("%s: status %d: %s", row.format, status, stderr)
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", row.format, want, text)
			}
		}
	}
}

func TestReport_Errors(t *testing.T) {
	m := newReportedModule(t)
	pay := m.write(t, "TestPay", nil, "db")
	change := func(test string, f func(*recording.File)) string { return m.write(t, test, f, "db") }
	out := filepath.Join(t.TempDir(), "no", "report.md")
	parent := t.TempDir()
	dir := filepath.Join(parent, "report.md")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	malformed := filepath.Join(t.TempDir(), "malformed.json")
	if err := os.WriteFile(malformed, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		reason string
		args   []string
		want   string
	}{
		{"no recording", nil, "no recordings: name files or directories"},
		{"an unknown format", []string{"-format", "yaml", pay}, `-format "yaml": is not one of markdown, html, junit`},
		{"an empty directory", []string{t.TempDir()}, "no file *.json in "},
		{"no file", []string{pay + "x"}, pay + "x: no such file"},
		{"another file", []string{malformed}, "read recording " + malformed + ": it is no recording: it has no version"},
		{"a file in no directory", []string{"-o", out, pay}, "write report: open " + out + ": no such file"},
		{"a directory in place of a file", []string{"-o", dir, pay}, "write report: open " + dir + ": is a directory"},
		{
			"an unknown package",
			[]string{change("TestA", func(v *recording.File) { v.Package = "example.com/shop/other" })},
			"package example.com/shop/other is not found from",
		},
		{
			"a flag in place of a package", []string{change("TestB", func(v *recording.File) { v.Package = "-toolexec=x" })},
			`TestB.json: package: malformed import path "-toolexec=x"`,
		},
		{
			"an export of Hubble",
			[]string{change("TestD", func(v *recording.File) { v.Golden = "" })},
			"TestD.json: it names no golden file, as an export of Hubble: compare it with a file by netzero check",
		},
		{
			"a file outside of the repository",
			[]string{change("TestC", func(v *recording.File) { v.Golden = "../../../secret.yaml" })},
			`golden file "../../../secret.yaml" is outside of the repository`,
		},
	} {
		status, stdout, stderr := m.run(row.args...)
		if status != statusUsage || stdout != "" || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: status %d, want %q:\n%s%s", row.reason, status, row.want, stdout, stderr)
		}
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("a temporary file is left: %v %v", entries, err)
	}
}
