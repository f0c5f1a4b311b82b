package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// runs are the results that the formats are tested with, by name.
func runs() map[string][]Result {
	tree := Tree{
		Module: "services", Package: "services/payments", Golden: "services/payments/testdata/netzero/TestCheckout.yaml",
		Tests: map[string]Place{"TestCheckout": {"services/payments/pay_test.go", 12}},
	}
	result := func(r Report, flows ...flow.Flow) Result {
		return Result{Report: r, Package: "example.com/shop/payments", Flows: flows, Tree: tree}
	}
	pay := stripe()
	pay.Flow.Process.Stack = []flow.Frame{
		called("net.Dial", "/go/src/net/dial.go", 3),
		called("example.com/shop/payments.(*Client).Do", "/src/payments/client.go", 57),
	}
	denied := result(base(func(r *Report) {
		r.Denied = append([]Denied{pay, ordersDB()}, lookUps(0)...)
		r.Unused = []string{"rule 4 of policy checkout: pods app=search on 9200/TCP"}
		r.Diff = diff
	}), pay.Flow, ordersDB().Flow, ordersDB().Flow)
	missing := result(base(func(r *Report) {
		r.Missing, r.Proposed = true, "# netzero: TestCheckout\nkind: NetworkPolicy\n"
	}), pay.Flow)
	lost := result(base(func(r *Report) { r.Lost = "2 new flows were lost\nraise NETZERO_RING_BYTES" }))
	lost.Losses = []recording.Loss{{What: "new flows", Count: 2}}
	rest := result(base(func(r *Report) {
		r.Test, r.Workload = "TestRest/case", "rest"
		r.Unprotected, r.Protected = []string{"no policy selects pods app=rest"}, true
		r.Unanswered = []string{"rest tried 127.0.0.1:1"}
		r.Binaries = []Binary{{Flow: stripe().Flow, Reason: "psql is not in the list"}}
		again := ordersDB()
		again.ReportedBy = "TestCheckout"
		r.Denied = []Denied{again}
		r.Strict, r.Unused = true, []string{"rule 1"}
	}))
	unusable := result(base(func(r *Report) {
		r.Unusable, r.UnusableLine = "read golden testdata/netzero/TestCheckout.yaml: document 1, line 7: "+
			"spec.podSelectors: unknown field; correct or remove it", 7
	}), stripe().Flow)
	passed := result(base(func(r *Report) { r.Test = "TestPassed" }), stripe().Flow)
	enforced := result(refused().with(func(r *Report) {
		judged := ordersDB()
		r.Denied = append(r.Denied, judged)
		r.Refused = []Refused{{refused().Denied[0].Flow, "policy checkout allows it (rule 3)"}}
	}), refused().Denied[0].Flow, ordersDB().Flow)
	would := result(one(func(d *Denied) { d.WouldRefuse = true }), stripe().Flow)
	requests := result(base(func(r *Report) {
		r.Denied = append(invoices(3), ordersDB())
		r.Diff = diff
	}), invoices(1)[0].Flow, ordersDB().Flow)
	many := result(base(func(r *Report) {
		for i := range maxBlocks + 3 {
			d := ordersDB()
			d.Flow.Port = uint16(i + 1)
			r.Denied = append(r.Denied, d)
		}
	}))
	return map[string][]Result{
		"nothing": nil, "denied": {denied, passed}, "missing": {missing}, "lost": {lost}, "rest": {rest},
		"unusable": {unusable}, "many": {many}, "requests": {requests}, "refused": {enforced}, "would-be-refused": {would},
		"hostile": {hostileResult()},
	}
}

// hostile is a name that each format would interpret somewhere.
const hostile = "x\n::error::a%0A\r##[error]|`` `<script>alert(1)</script>]]>\"'&amp;\x00\x1b[31m\u202e\\ ,:@org " +
	"https://a.test www.a.test $x$ [l](http://b) *b*\xff"

func hostileResult() Result {
	d := stripe()
	d.Flow.Source.Name, d.Flow.Destination.Name, d.Flow.Named = hostile, hostile, hostile
	d.Policy, d.Reason, d.Flow.Refused = hostile, hostile, 1
	d.Flow.Process.Name, d.Flow.Process.Command = hostile, hostile
	d.Flow.Process.Stack = []flow.Frame{called("example.com/shop/../../../etc.F"+hostile, hostile, -3)}
	b := Binary{Flow: d.Flow, Reason: hostile}
	request := d
	request.Flow.Port = 80
	request.Request = flow.Request{Protocol: flow.HTTP, Method: hostile, Path: hostile, Query: "?token=secret"}
	r := Report{
		Test: "Test/" + hostile, Golden: hostile, Workload: hostile, Module: "example.com/shop", Accept: hostile,
		Denied: []Denied{d, request}, Binaries: []Binary{b}, Unprotected: []string{hostile}, Unused: []string{hostile},
		Refused: []Refused{{d.Flow, hostile}}, Unanswered: []string{hostile}, Strict: true,
		Diff:    "(-golden +recorded)\n+" + strings.ReplaceAll(hostile, "\n", "") + "\n```\n````\n+x\n",
		Notices: []recording.Notice{{Text: hostile}},
	}
	return Result{
		Report: r, Package: hostile, Flows: []flow.Flow{d.Flow}, Losses: []recording.Loss{{What: hostile, Count: 1}},
		Tree: Tree{
			Module: ".", Package: "a:b", Golden: "a:b/" + hostile,
			Tests: map[string]Place{"Test": {"a:b/" + "a,b_test.go", 3}},
		},
	}
}

// formats returns each format of a run, by the extension of its file.
func formats(t *testing.T, results []Result) map[string]string {
	t.Helper()
	junit, err := JUnit(results)
	if err != nil {
		t.Fatal(err)
	}
	sarif, err := SARIF(results)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"md": Markdown(results), "xml": string(junit), "sarif": string(sarif), "prom": string(Prometheus(results)),
	}
	for _, r := range results {
		errors, warnings := Annotations(r.Findings())
		all["github"] += errors + warnings
		all["section.md"] += r.Section()
	}
	return all
}

func TestFormats_Texts(t *testing.T) {
	known := make(map[string]bool)
	for name, results := range runs() {
		for extension, got := range formats(t, results) {
			file := filepath.Join("testdata", "formats", name+"."+extension)
			known[file] = true
			compareFile(t, file, got)
		}
	}
	onlyFiles(t, "testdata/formats/*", known)
}

func TestFormats_NoControlCharacters(t *testing.T) {
	for name, results := range runs() {
		for extension, text := range formats(t, results) {
			if clean(strings.ReplaceAll(text, "\n", "")) != strings.ReplaceAll(text, "\n", "") {
				t.Errorf("%s.%s holds control characters: %q", name, extension, text)
			}
			if text != "" && !strings.HasSuffix(text, "\n") {
				t.Errorf("%s.%s does not end with a line end", name, extension)
			}
		}
	}
}

// command is a workflow command as GitHub's runner reads it.
var command = regexp.MustCompile(`^::(error|warning) ((?:[a-z]+=[^:,]*,?)+)::(.*)$`)

func TestAnnotations_OneCommandALine(t *testing.T) {
	for name, results := range runs() {
		for _, r := range results {
			errors, warnings := Annotations(r.Findings())
			for _, text := range []string{errors, warnings} {
				n := 0
				for line := range strings.Lines(text) {
					n++
					if !command.MatchString(strings.TrimSuffix(line, "\n")) {
						t.Errorf("%s: not a command: %q", name, line)
					}
				}
				if n > maxAnnotations {
					t.Errorf("%s: %d commands of a kind, more than GitHub shows", name, n)
				}
			}
			if strings.Contains(warnings, "::error ") || strings.Contains(errors, "::warning ") {
				t.Errorf("%s: a command is of the wrong kind", name)
			}
		}
	}
}

func TestAnnotations_Escaped(t *testing.T) {
	got, _ := Annotations([]Finding{{
		Fails: true, Place: Place{"a,b:c%.go", 7}, Title: "t: 1,2%\r", Text: "50%: a,b\r\nnext",
	}})
	const want = "::error file=a%2Cb%3Ac%25.go,line=7,title=t%3A 1%2C2%25%0D::50%25: a,b%0D%0Anext\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Outside of code blocks, a page has no other HTML than that of this package, and no cell is broken.
func TestMarkdown_HostileTexts(t *testing.T) {
	known := regexp.MustCompile(`</?(code|sub|details|summary)>`)
	fence, columns := "", 0
	for line := range strings.Lines(Markdown([]Result{hostileResult()})) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case fence != "" && line == fence:
			fence = ""
			continue
		case fence != "":
			continue
		case strings.HasPrefix(line, "```"):
			fence = line[:len(line)-len(strings.TrimLeft(line, "`"))]
			continue
		}
		if rest := known.ReplaceAllString(line, ""); strings.ContainsAny(rest, "<>`*_[]\\@$") {
			t.Errorf("the line has what Markdown interprets: %s", line)
		}
		if strings.Contains(line, "http://") || strings.Contains(line, "https://") || strings.Contains(line, "www.") {
			t.Errorf("the line has a link: %s", line)
		}
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		if n := strings.Count(line, "|"); columns != 0 && n != columns {
			t.Errorf("a row has %d bars, want %d: %s", n, columns, line)
		} else {
			columns = n
		}
	}
	if fence != "" {
		t.Errorf("a code block that begins with %s does not end", fence)
	}
}

func TestMarkdown_LongTextsAreCut(t *testing.T) {
	d := stripe()
	d.Reason = strings.Repeat("word ", 1000)
	r := Result{Report: base(func(r *Report) {
		r.Denied = []Denied{d}
		r.Diff = strings.Repeat("+line\n", maxDiffLines+5)
	})}
	text := r.Section()
	if strings.Count(text, "word") > maxCell/len("word ") || strings.Count(text, "+line\n") != maxDiffLines {
		t.Errorf("the section is too long:\n%s", text)
	}
}

// A summary and annotations are published: command lines may hold secrets.
func TestFormats_NoCommandLines(t *testing.T) {
	for name, results := range runs() {
		for extension, text := range formats(t, results) {
			if extension != "xml" && strings.Contains(text, "-test.v") { // XML has the text of the log
				t.Errorf("%s.%s holds a command line:\n%s", name, extension, text)
			}
		}
	}
}

func TestFilesSection(t *testing.T) {
	if text := FilesSection("example.com/shop", nil); text != "" {
		t.Errorf("a section without lines: %s", text)
	}
	text := FilesSection("example.com/shop", slices.Repeat([]string{"a.yaml: unused: | rule"}, maxBlocks+2))
	if !strings.Contains(text, "policy files of <code>example.com/shop</code>\n") ||
		strings.Count(text, "- <code>a.yaml: unused: &#124; rule</code>\n") != maxBlocks ||
		!strings.HasSuffix(text, "- and 2 more\n") {
		t.Errorf("the section is %s", text)
	}
}

func TestSection_NothingToReview(t *testing.T) {
	for _, r := range []Report{
		{}, {Notices: []recording.Notice{{Text: "x"}}}, {Diff: "(-golden +recorded)\n+x\n"},
	} {
		if text := (Result{Report: r}).Section(); text != "" {
			t.Errorf("a section of a passing test:\n%s", text)
		}
	}
}

func TestJUnit_ReadsBack(t *testing.T) {
	for name, results := range runs() {
		text, err := JUnit(results)
		if err != nil {
			t.Fatal(err)
		}
		var got junitSuites
		if err := xml.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		var cases []junitCase
		failures := 0
		for _, suite := range got.Suites {
			cases = append(cases, suite.Cases...)
			failures += suite.Failures
		}
		if got.Tests != len(results) || len(cases) != len(results) || failures != got.Failures {
			t.Errorf("%s: %d tests and %d cases of %d results", name, got.Tests, len(cases), len(results))
		}
		for i, r := range results {
			want := junitCase{Class: clean(r.Package), Name: clean(r.Test)}
			for _, a := range r.Attributes() {
				want.Properties = append(want.Properties, junitProperty(a))
			}
			if r.Failed() {
				want.Failure = &junitFailure{Type: "netzero", Message: r.Outcome(), Text: r.String()}
			}
			if diff := cmp.Diff(want, cases[i]); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
		}
	}
}

// The members that the schema of SARIF 2.1.0 requires, and those that code scanning requires.
func TestSARIF_ReadsBack(t *testing.T) {
	for name, results := range runs() {
		text, err := SARIF(results)
		if err != nil {
			t.Fatal(err)
		}
		var got sarifLog
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got.Version != "2.1.0" || len(got.Runs) != 1 || got.Runs[0].Tool.Driver.Name == "" {
			t.Errorf("%s: not a log of SARIF 2.1.0 with one run:\n%s", name, text)
		}
		if !strings.Contains(string(text), `"results": [`) {
			t.Errorf("%s: no list of results:\n%s", name, text)
		}
		var want []Finding
		for _, r := range results {
			want = append(want, r.Findings()...)
		}
		run := got.Runs[0]
		if len(run.Results) != len(want) {
			t.Fatalf("%s: %d results of %d findings", name, len(run.Results), len(want))
		}
		for i, result := range run.Results {
			if result.Message.Text != want[i].Title+"\n"+want[i].Text {
				t.Errorf("%s: the message is %q", name, result.Message.Text)
			}
			if !slices.Contains([]string{"error", "warning"}, result.Level) ||
				run.Tool.Driver.Rules[result.RuleIndex].ID != result.RuleID {
				t.Errorf("%s: wrong level or rule: %+v", name, result)
			}
			for _, l := range result.Locations {
				u, err := url.Parse(l.Physical.Artifact.URI)
				if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "/") {
					t.Errorf("%s: not a relative URI: %s", name, l.Physical.Artifact.URI)
				} else if file := strings.TrimPrefix(u.Path, "./"); file != want[i].Place.File {
					t.Errorf("%s: the file is %q, want %q", name, file, want[i].Place.File)
				}
				if r := l.Physical.Region; r != nil && r.StartLine < 1 {
					t.Errorf("%s: line %d", name, r.StartLine)
				}
			}
		}
	}
}

// sample is a line of Prometheus' text format, with one label.
var sample = regexp.MustCompile(`^([a-z_]+)\{workload="((?:[^"\\\n]|\\["\\n])*)"\} (\d+)$`)

func TestPrometheus_ReadsBack(t *testing.T) {
	for name, results := range runs() {
		current := ""
		var last string
		seen := make(map[string]bool)
		for line := range strings.Lines(string(Prometheus(results))) {
			line = strings.TrimSuffix(line, "\n")
			if help, isHelp := strings.CutPrefix(line, "# HELP "); isHelp {
				current, _, _ = strings.Cut(help, " ")
				last = ""
				continue
			}
			if kind, isType := strings.CutPrefix(line, "# TYPE "); isType {
				want := current + " gauge"
				if strings.HasSuffix(current, "_total") {
					want = current + " counter"
				}
				if kind != want {
					t.Errorf("%s: %q after the help of %s", name, line, current)
				}
				continue
			}
			m := sample.FindStringSubmatch(line)
			if m == nil || m[1] != current {
				t.Errorf("%s: not a sample of %s: %q", name, current, line)
				continue
			}
			if seen[m[1]+m[2]] || m[2] < last {
				t.Errorf("%s: twice, or not sorted: %q", name, line)
			}
			seen[m[1]+m[2]], last = true, m[2]
		}
	}
}

func TestPrometheus_CountsFlowsOfSeveralRecordingsOnce(t *testing.T) {
	results := slices.Concat(runs()["denied"], runs()["denied"], runs()["lost"])
	got := make(map[string]int)
	for line := range strings.Lines(string(Prometheus(results))) {
		if m := sample.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			got[m[1]], _ = strconv.Atoi(m[3])
		}
	}
	want := map[string]int{
		"netzero_flows": 2, "netzero_flows_denied": 2, "netzero_rules_unused": 1, "netzero_recording_lost_total": 2,
		"netzero_attempts_refused_total": 0, "netzero_requests_denied": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Tests that share a file have the same unused rules, and one of them shows them. Each workload has the metric.
func TestFormats_UnusedRulesOfSharedFile(t *testing.T) {
	of := func(test, workload, pkg string, by string) Result {
		return Result{Package: "example.com/" + pkg, Tree: Tree{Package: pkg, Golden: "all.yaml"}, Report: Report{
			Test: test, Workload: workload, Golden: "/src/all.yaml", Unused: []string{"rule 2"}, UnusedReportedBy: by,
		}}
	}
	results := []Result{
		of("TestA", "pay", "pay", ""), of("TestB", "pay", "pay", "TestA"), of("TestC", "pay", "billing", "TestA"),
		of("TestD", "shop", "shop", "TestA"),
	}
	texts := formats(t, results)
	for extension, want := range map[string]int{"md": 1, "sarif": 1, "github": 1, "section.md": 1} {
		if got := strings.Count(texts[extension], "rule 2"); got != want {
			t.Errorf("%s names the rule %d times, want %d:\n%s", extension, got, want, texts[extension])
		}
	}
	for _, want := range []string{`netzero_rules_unused{workload="pay"} 1`, `netzero_rules_unused{workload="shop"} 1`} {
		if !strings.Contains(texts["prom"], want+"\n") {
			t.Errorf("no %s in\n%s", want, texts["prom"])
		}
	}
	if n := strings.Count(texts["xml"], `name="netzero.unused" value="1"`); n != len(results) {
		t.Errorf("%d tests have the attribute, want %d", n, len(results))
	}
	if notes := results[1].Notes(); notes != "" {
		t.Errorf("a test repeats the rules of another: %s", notes)
	}
}

func TestFindings_Places(t *testing.T) {
	const module = "example.com/shop"
	tests := map[string]Place{"TestA": {"svc/a_test.go", 3}, "TestMain": {"svc/main_test.go", 9}}
	own := []flow.Frame{called("net.Dial", "dial.go", 1), called(module+"/pay.Do", "/build/pay/pay.go", 57)}
	tree := Tree{Module: "svc", Package: "svc", Golden: "svc/golden.yaml", Tests: tests}
	for _, row := range []struct {
		reason, test string
		process      flow.Process
		tree         Tree
		want         Place
	}{
		{"the user's call", "TestA", flow.Process{Stack: own}, tree, Place{"svc/pay/pay.go", 57}},
		{
			"a trimmed path", "TestA",
			flow.Process{Stack: []flow.Frame{called(module+"_test.F", module+"/pay_test.go", 2)}}, tree,
			Place{"svc/pay_test.go", 2},
		},
		{"the module is at the root", "TestA", flow.Process{Stack: own}, Tree{Module: "."}, Place{"pay/pay.go", 57}},
		{"a call of others", "TestA/sub", flow.Process{Stack: own[:1]}, tree, Place{"svc/a_test.go", 3}},
		{"no stack", "TestA", flow.Process{Name: "psql"}, tree, Place{"svc/a_test.go", 3}},
		{"a test of a package", "package " + module, flow.Process{Test: "TestA/x"}, tree, Place{"svc/a_test.go", 3}},
		{"TestMain of a package", "package " + module, flow.Process{}, tree, Place{"svc/main_test.go", 9}},
		{"an unknown test", "TestB", flow.Process{}, tree, Place{"svc/golden.yaml", 0}},
		{"nothing is known", "TestA", flow.Process{Stack: own}, Tree{}, Place{}},
		{
			"a path that leaves the repository", "TestA",
			flow.Process{Stack: []flow.Frame{called(module+"/../../x.F", "x.go", 2)}}, Tree{Module: ".", Tests: tests},
			Place{"svc/a_test.go", 3},
		},
	} {
		d := ordersDB()
		d.Flow.Process = row.process
		r := Result{Tree: row.tree, Report: Report{
			Test: row.test, Golden: "golden.yaml", Module: module, Denied: []Denied{d},
		}}
		if got := r.Findings()[0].Place; got != row.want {
			t.Errorf("%s: %+v, want %+v", row.reason, got, row.want)
		}
	}
}

// An error in a golden file is shown at its line, or at the test if the file is not in the repository.
func TestFindings_PlaceOfUnusablePolicy(t *testing.T) {
	tree := Tree{Package: "svc", Tests: map[string]Place{"TestA": {"svc/a_test.go", 3}}}
	for _, row := range []struct {
		golden string // in the repository
		line   int
		want   Place
	}{
		{"svc/golden.yaml", 7, Place{"svc/golden.yaml", 7}},
		{"svc/golden.yaml", 0, Place{"svc/golden.yaml", 0}},
		{"", 7, Place{"svc/a_test.go", 3}},
	} {
		tree.Golden = row.golden
		r := Result{Tree: tree, Report: Report{
			Test: "TestA", Golden: "golden.yaml", Unusable: "line 7: not YAML", UnusableLine: row.line,
		}}
		again := r
		again.UnusableReportedBy = "TestB"
		if all := again.Findings(); len(all) > 0 {
			t.Errorf("a fault that another test reports: %+v", all)
		}
		all := r.Findings()
		if len(all) != 1 || all[0].Place != row.want || all[0].Rule != InvalidPolicy || !all[0].Fails {
			t.Errorf("%s, line %d: %+v, want one at %+v", row.golden, row.line, all, row.want)
		}
	}
}

func TestAttributes_NoNewline(t *testing.T) {
	for name, results := range runs() {
		for _, r := range results {
			for _, a := range r.Attributes() {
				if strings.ContainsAny(a.Name, " \t\r\n") || strings.ContainsAny(a.Value, "\r\n") {
					t.Errorf("%s: package testing refuses %q", name, a)
				}
			}
		}
	}
}

func TestFacts_Evidence(t *testing.T) {
	f := published().Flow
	f.Process.Parents, f.Process.Executable = []string{"sh (pid 12)"}, "/usr/bin/psql"
	f.Process.Container, f.Process.Image, f.Process.Test = "shop-1", "shop:1", "TestA/b\x1b"
	f.Process.Stack = []flow.Frame{
		called("net.Dial", "/go/src/net/dial.go", 3),
		called("example.com/shop/payments.(*Client).Do", "/src/payments/client.go", 57),
	}
	want := []Attribute{
		{"opened", "3 times, first 1.2s after the recording started"},
		{"at", "payments/client.go:57 (*Client).Do, through net"},
		{"by", "payments.test (pid 4711): /tmp/go-build1/payments.test -test.v"},
		{"from", "/usr/bin/psql, a child of sh (pid 12)"},
		{"in", "container shop-1 (image shop:1)"},
		{"test", `TestA/b\x1b`},
		{"name", "from container"},
		{"address", "127.0.0.1, port 49153, which container eager_hopper (image postgres:17) publishes"},
	}
	if diff := cmp.Diff(want, Facts(f, "example.com/shop")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
