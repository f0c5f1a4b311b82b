package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const module = "example.com/shop"

// generated returns the results of tests with so many different flows. Every eighth flow is denied, and every fifth
// test has no policy.
func generated(flows int) Run {
	const perTest = 10
	outside := []string{"api.stripe.com", "api.adyen.com", "hooks.slack.com", "s3.eu-central-1.amazonaws.com"}
	services := []string{"checkout", "orders", "search", "payments", "catalog", "shipping", "ledger", "accounts", "mail",
		"inventory", "pricing", "reviews"}
	var run Run
	for i := 0; i < flows; i += perTest {
		n := i / perTest
		service := services[n%len(services)]
		r := Result{Result: report.Result{
			Report: report.Report{
				Test: fmt.Sprintf("Test%s_Case%d", strings.ToUpper(service[:1])+service[1:], n), Workload: service,
				Golden: fmt.Sprintf("testdata/netzero/Test%d.yaml", n), Module: module, Missing: n%5 == 4,
				Accept: "go test " + module + "/" + service + " -update",
			},
			Package: module + "/" + service,
		}}
		r.File = recording.File{
			Version: recording.Version, Test: r.Test, Started: time.Date(2026, 3, 4, 9, 0, n%60, 0, time.UTC),
		}
		check := &recording.Check{Dialect: "NetworkPolicy"}
		for j := range min(perTest, flows-i) {
			f := flow.Flow{
				Source:      flow.Endpoint{Kind: flow.Workload, Name: service, Evidence: flow.ByOption},
				Destination: flow.Endpoint{Kind: flow.Workload, Name: services[(n+j*j+1)%len(services)], Evidence: flow.ByDNS},
				Protocol:    flow.TCP, Port: uint16(1024 + i + j), Count: uint64(1 + (i*j)%700),
				First: time.Duration(j*j) * 13 * time.Millisecond,
				Process: flow.Process{
					PID: 4000 + n, Name: service + ".test",
					Command:    "/tmp/go-build1/" + service + ".test -test.v -test.timeout=10m0s",
					Executable: "/tmp/go-build1/" + service + ".test",
				},
			}
			switch {
			case j == 0:
				f.Destination, f.Protocol, f.Port = flow.ClusterResolver, flow.UDP, 53
			case j < 3:
				f.Destination = flow.Endpoint{
					Kind: flow.External, Name: outside[(n+j)%len(outside)], Evidence: flow.ByTLS,
					Addr: netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}),
				}
				f.Port = uint16(443 + i)
			}
			for k := range 12 {
				f.Process.Stack = append(f.Process.Stack, flow.Frame{
					Function: fmt.Sprintf("net/http.(*Transport).step%d", k), File: "/go/src/net/http/transport.go", Line: 100 + k,
				})
			}
			f.Process.Stack = append(f.Process.Stack,
				flow.Frame{Function: module + "/" + service + ".(*Client).Do", File: "/src/client.go", Line: 20 + j},
				flow.Frame{Function: module + "/" + service + ".TestCase", File: "/src/service_test.go", Line: 200 + i})
			r.Flows = append(r.Flows, f)
			v := recording.Verdict{Outcome: recording.OutcomeAllowed, Policy: service,
				Reason: fmt.Sprintf("rule %d (pods app=%s)", j, f.Destination.Name)}
			if (i+j)%8 == 7 && !r.Missing {
				v.Outcome, v.Reason = recording.OutcomeDenied, "no rule allows pods app="+f.Destination.Name
				r.Denied = append(r.Denied, report.Denied{Flow: f, Policy: v.Policy, Reason: v.Reason})
			}
			check.Verdicts = append(check.Verdicts, v)
		}
		r.File.Placed.Flows = recording.FromFlows(r.Flows)
		if !r.Missing {
			r.File.Check = check
			r.Unused = []string{"rule 12 of policy " + service + ": pods app=legacy on 9200/TCP"}
			if len(r.Denied) > 0 {
				r.Diff = "(-golden +recorded)\n@@ NetworkPolicy " + service + ": spec.egress @@\n   egress:\n-  - port: 1\n" +
					"+  - port: 2\n"
			}
		}
		run.Results = append(run.Results, r)
	}
	return run
}

// rendered returns a page.
func rendered(t *testing.T, run Run, layout Layout) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, run, layout); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// columns is a layout with sources to the left and all others to the right.
func columns(g Graph) (Positions, error) {
	at := Positions{Width: 900, Height: float64(60 * (len(g.Nodes) + 1))}
	isSource := make([]bool, len(g.Nodes))
	for _, e := range g.Edges {
		isSource[e.From] = true
	}
	for i := range g.Nodes {
		x := 700.0
		if isSource[i] {
			x = 160
		}
		at.Nodes = append(at.Nodes, Point{x, float64(60 * (i + 1))})
	}
	for _, e := range g.Edges {
		from, to := at.Nodes[e.From], at.Nodes[e.To]
		from.X += g.Nodes[e.From].Width / 2
		to.X -= g.Nodes[e.To].Width / 2
		at.Edges = append(at.Edges, []Point{from, {from.X + 120, from.Y}, {to.X - 120, to.Y}, to})
	}
	return at, nil
}

// elements returns all elements of a page by their names.
func elements(t *testing.T, page string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]*html.Node)
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all[n.Data] = append(all[n.Data], n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// decoded returns the data that the script reads.
func decoded(t *testing.T, page string) data {
	t.Helper()
	for _, s := range elements(t, page)["script"] {
		if attribute(s, "type") == "application/json" {
			var d data
			if err := json.Unmarshal([]byte(s.FirstChild.Data), &d); err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatal("the page has no data")
	return data{}
}

func TestRender_Sizes(t *testing.T) {
	for _, row := range []struct{ flows, limit int }{{0, 60_000}, {12, 80_000}, {1_000, 500_000}, {5_000, 2_500_000}} {
		page := rendered(t, generated(row.flows), columns)
		if len(page) > row.limit {
			t.Errorf("%d flows take %d bytes, more than %d", row.flows, len(page), row.limit)
		}
		if got := len(decoded(t, page).Flows); got < row.flows*9/10 {
			t.Errorf("the page has %d flows, want about %d", got, row.flows)
		}
	}
}

func TestRender_Deterministic(t *testing.T) {
	want := rendered(t, generated(300), columns)
	for range 5 {
		if diff := cmp.Diff(want, rendered(t, generated(300), columns)); diff != "" {
			t.Fatalf("(-first +next)\n%s", diff)
		}
	}
}

// A browser runs only what the policy of the page permits.
func TestRender_RunsOnlyItsOwnScript(t *testing.T) {
	for reason, text := range map[string]string{
		"a file": rendered(t, generated(50), columns), "a server's": renderedLive(t, generated(50), "v1"),
	} {
		all := elements(t, text)
		policy := policyOf(all)
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", reason, policy)
		}
		for _, name := range []string{"style", "script"} {
			_, permitted, _ := strings.Cut(policy, name+"-src ")
			permitted, _, _ = strings.Cut(permitted, ";")
			for _, n := range all[name] {
				if attribute(n, "type") != "application/json" && !strings.Contains(permitted, hash(n.FirstChild.Data)) {
					t.Errorf("%s: the policy does not permit the page's own %s", reason, name)
				}
			}
		}
		for name, nodes := range all {
			for _, n := range nodes {
				for _, a := range n.Attr {
					isAddress := a.Key == "href" || a.Key == "src" || a.Key == "action"
					if a.Key == "style" || strings.HasPrefix(a.Key, "on") || isAddress && !strings.HasPrefix(a.Val, "#") {
						t.Errorf("%s: <%s> has %s=%q", reason, name, a.Key, a.Val)
					}
				}
			}
			switch name {
			case "link", "img", "iframe", "form", "object", "base":
				t.Errorf("%s: there is a <%s>", reason, name)
			}
		}
	}
}

// policyOf returns the Content-Security-Policy that a page states.
func policyOf(all map[string][]*html.Node) string {
	for _, m := range all["meta"] {
		if attribute(m, "http-equiv") == "Content-Security-Policy" {
			return attribute(m, "content")
		}
	}
	return ""
}

// renderedLive returns the page of a server.
func renderedLive(t *testing.T, run Run, version string) string {
	t.Helper()
	var b bytes.Buffer
	if err := RenderLive(&b, run, columns, version); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Only the page of a server has a script that reads from one, and only its policy permits that.
func TestRenderLive_ReadsFromItsServer(t *testing.T) {
	page, file := renderedLive(t, generated(50), `v"1`), rendered(t, generated(50), columns)
	if policy := policyOf(elements(t, page)); !strings.HasSuffix(policy, "; connect-src 'self'") ||
		LivePolicy() != policy+"; frame-ancestors 'none'" {
		t.Errorf("policy %q, and that of the server is %q", policy, LivePolicy())
	}
	if policy := policyOf(elements(t, file)); strings.Contains(policy, "connect-src") ||
		strings.Contains(policy, hash(liveScript)) {
		t.Errorf("the policy of a file is %q", policy)
	}
	if !strings.Contains(page, "fetch(") || strings.Contains(file, "fetch(") || strings.Contains(file, "netzero-version") {
		t.Error("the page of a server has to read from it, and a file must not")
	}
	for _, m := range elements(t, page)["meta"] {
		if attribute(m, "name") == "netzero-version" && attribute(m, "content") != `v"1` {
			t.Errorf("version %q", attribute(m, "content"))
		}
	}
}

// The script recognizes what is unfolded in other results by its name.
func TestRenderLive_FoldsHaveNames(t *testing.T) {
	names := make(map[string]bool)
	for _, d := range elements(t, renderedLive(t, generated(50), "v1"))["details"] {
		name := attribute(d, "data-fold")
		if name == "" || names[name] {
			t.Errorf("%q names no details, or two", name)
		}
		names[name] = true
	}
	if len(names) == 0 {
		t.Error("nothing can be unfolded")
	}
}

// The results say which recordings they lack.
func TestRenderLive_Unread(t *testing.T) {
	run := generated(10)
	run.Unread = []string{"a.json: it is empty", hostile}
	text := textOf(elements(t, renderedLive(t, run, "v1"))["main"][0])
	for _, want := range []string{"error a.json: it is empty", report.Line(hostile)[:10]} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%.500s", want, text)
		}
	}
	if page := renderedLive(t, generated(10), "v1"); strings.Contains(page, `id="unread"`) {
		t.Error("the page lists unread recordings, and there are none")
	}
}

// What is unsafe with text of others is not in the scripts.
func TestScript_InsertsTextOnly(t *testing.T) {
	const unsafe = `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|XMLHttpRequest|WebSocket|` +
		`EventSource|import\(|\.style\b`
	for _, row := range []struct{ name, text, unsafe string }{
		{"page.js", script, unsafe + `|setTimeout|setInterval|fetch\(|sendBeacon|DOMParser`},
		{"live.js", liveScript, unsafe + `|https?:|sendBeacon`},
	} {
		if found := regexp.MustCompile(row.unsafe).FindAllString(row.text, -1); found != nil {
			t.Errorf("%s uses %v", row.name, found)
		}
	}
}

const hostile = "x\n</script><script>alert(1)</script><!-- ' \" &amp; {{.}} `\x00\x1b[31m\u202e\u2028 \xff " +
	"<img src=y onerror=z>"

func TestRender_HostileNamesStayText(t *testing.T) {
	f := flow.Flow{
		Source: flow.WorkloadEndpoint(hostile), Destination: flow.ExternalHost(hostile), Protocol: flow.TCP, Port: 1,
		Count: 1, Named: hostile, Process: flow.Process{
			Name: hostile, Command: hostile, Executable: hostile, Parents: []string{hostile}, Container: hostile,
			Image: hostile, Exec: hostile, Test: hostile,
			Stack: []flow.Frame{{Function: module + "." + hostile, File: hostile, Line: 1}},
		},
	}
	r := Result{Result: report.Result{
		Package: hostile, Flows: []flow.Flow{f}, Losses: []recording.Loss{{What: hostile, Count: 1, Remedy: hostile}},
		Report: report.Report{
			Test: hostile, Golden: hostile, Workload: hostile, Module: module, Accept: hostile, Unused: []string{hostile},
			Unprotected: []string{hostile}, Diff: hostile, Notices: []recording.Notice{{Code: hostile, Text: hostile}},
			Denied: []report.Denied{{Flow: f, Policy: hostile, Reason: hostile}},
		},
	}}
	r.File.Placed.Flows = recording.FromFlows([]flow.Flow{f})
	r.File.Check = &recording.Check{Verdicts: []recording.Verdict{
		{Outcome: recording.OutcomeAllowed, Policy: hostile, Reason: hostile},
	}}
	page := rendered(t, Run{Results: []Result{r}}, columns)
	all, harmless := elements(t, page), elements(t, rendered(t, generated(10), columns))
	if len(all["script"]) != len(harmless["script"]) || len(all["img"]) != 0 {
		t.Errorf("%d scripts and %d images", len(all["script"]), len(all["img"]))
	}
	for _, c := range []string{"\x00", "\x1b", "\u202e", "\u2028", "\xff"} {
		if strings.Contains(page, c) {
			t.Errorf("the page holds %q", c)
		}
	}
	d := decoded(t, page)
	if got, want := d.Strings[d.Nodes[0][0]], report.Line(hostile); got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
}

func TestRender_Empty(t *testing.T) {
	page := rendered(t, Run{}, columns)
	all := elements(t, page)
	if got := textOf(all["header"][0]); !strings.Contains(got, "0 recordings of 0 packages") {
		t.Errorf("header %q", got)
	}
	if !strings.Contains(page, "There are no flows.") || !strings.Contains(page, "There are no recordings.") ||
		len(all["svg"]) != 0 {
		t.Error("the page does not say that it is empty")
	}
	if d := decoded(t, page); len(d.Flows) != 0 {
		t.Errorf("flows %v", d.Flows)
	}
}

// outcomes returns verdict, "new" or "", and the reason of each flow, by its port.
func outcomes(t *testing.T, run Run) map[string][3]string {
	t.Helper()
	d := decoded(t, rendered(t, run, nil))
	all := make(map[string][3]string)
	for _, f := range d.Flows {
		number := func(i int) int { return int(f[i].(float64)) }
		var one [3]string
		one[0] = d.Verdicts[number(4)]
		if number(5) == 1 {
			one[1] = "new"
		}
		seen := f[10].([]any)[0].([]any)
		for i := 2; i < len(seen); i += 2 {
			if d.Strings[int(seen[i].(float64))] == one[0] {
				one[2] = d.Strings[int(seen[i+1].(float64))]
			}
		}
		all[d.Strings[number(2)]+"/"+d.Strings[number(3)]] = one
	}
	return all
}

func to(port uint16) flow.Flow {
	return flow.Flow{
		Source: flow.WorkloadEndpoint("shop"), Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: port,
		Count: 1, First: time.Second,
	}
}

// judgedRun is a test with verdicts of each kind.
func judgedRun(change func(*Result)) Run {
	flows := []flow.Flow{to(1), to(2), to(3), to(4)}
	r := Result{Result: report.Result{Flows: flows}}
	r.Denied = []report.Denied{{Flow: to(1), Policy: "shop", Reason: "no rule allows it"}}
	implied := flow.Flow{
		Source: flow.WorkloadEndpoint("shop"), Destination: flow.ClusterResolver, Protocol: flow.UDP, Port: 53,
	}
	r.Denied = append(r.Denied, report.Denied{Flow: implied})
	r.File.Placed.Flows = recording.FromFlows(flows)
	r.File.Check = &recording.Check{Updated: true, Verdicts: []recording.Verdict{
		{Outcome: recording.OutcomeDenied, Reason: "stale"},
		{Outcome: recording.OutcomeAllowed, Policy: "shop", Reason: "rule 1 (pods app=db)"},
		{Outcome: recording.OutcomeDenied, Reason: "no rule"},
		{Outcome: recording.OutcomeUnprotected},
	}}
	if change != nil {
		change(&r)
	}
	return Run{Results: []Result{r}}
}

func TestVerdicts_Each(t *testing.T) {
	for _, row := range []struct {
		reason string
		change func(*Result)
		want   map[string][3]string
	}{
		{"compared", nil, map[string][3]string{
			"1/TCP":  {"denied", "new", "policy shop: no rule allows it"},
			"53/UDP": {"denied", "new", "no rule allows it"},
			"2/TCP":  {"allowed", "", "policy shop: rule 1 (pods app=db)"},
			"3/TCP":  {"allowed", "new", "by the golden file as it is now; at the time of the test it was denied: no rule"},
			"4/TCP":  {"unprotected", "", "no policy isolates the ends of the flow"},
		}},
		{"no golden file", func(r *Result) { r.Missing, r.Denied, r.File.Check = true, nil, nil }, map[string][3]string{
			"1/TCP": {"no policy", "new", "no policy is committed"}, "2/TCP": {"no policy", "new", "no policy is committed"},
			"3/TCP": {"no policy", "new", "no policy is committed"}, "4/TCP": {"no policy", "new", "no policy is committed"},
		}},
		{"lost events", func(r *Result) { r.Lost, r.Denied, r.File.Check = "1 lost", nil, nil }, map[string][3]string{
			"1/TCP": {"not compared", "", "the recording is incomplete"},
			"2/TCP": {"not compared", "", "the recording is incomplete"},
			"3/TCP": {"not compared", "", "the recording is incomplete"},
			"4/TCP": {"not compared", "", "the recording is incomplete"},
		}},
		{"a golden file with a mistake", func(r *Result) { r.Unusable, r.Denied, r.File.Check = "not YAML", nil, nil },
			map[string][3]string{
				"1/TCP": {"not compared", "", "the committed policy cannot be used: not YAML"},
				"2/TCP": {"not compared", "", "the committed policy cannot be used: not YAML"},
				"3/TCP": {"not compared", "", "the committed policy cannot be used: not YAML"},
				"4/TCP": {"not compared", "", "the committed policy cannot be used: not YAML"},
			}},
		{"a recording without verdicts", func(r *Result) { r.Denied, r.File.Check = nil, nil }, map[string][3]string{
			"1/TCP": {"allowed"}, "2/TCP": {"allowed"}, "3/TCP": {"allowed"}, "4/TCP": {"allowed"},
		}},
	} {
		if diff := cmp.Diff(row.want, outcomes(t, judgedRun(row.change))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
	}
}

func TestRender_Problems(t *testing.T) {
	page := rendered(t, judgedRun(func(r *Result) {
		r.Lost, r.Denied = "3 new flows were lost", nil
		r.Unusable = "line 7: not YAML"
		r.Unanswered = []string{"shop tried 127.0.0.1:1"}
		r.Binaries = []report.Binary{{Flow: to(2), Reason: "psql is not in the list"}}
		r.Losses = []recording.Loss{{What: "new flows", Count: 3, Remedy: "raise NETZERO_RING_BYTES"}}
	}), nil)
	text := textOf(elements(t, page)["main"][0])
	for _, want := range []string{
		"Lost events 3 in 1 incomplete", "3 new flows: raise NETZERO_RING_BYTES", "incomplete 3 new flows were lost",
		"unanswered shop tried 127.0.0.1:1", "unexpected program shop -> db:2/TCP was opened by",
		"unusable policy line 7: not YAML",
		"failed: recording incomplete, the committed policy cannot be used",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The page has what the kernel would refuse beside what it refused.
func TestRender_Refused(t *testing.T) {
	run := judgedRun(func(r *Result) {
		r.Enforced = true
		r.Denied[0].WouldRefuse = true
		r.Flows[0].Count, r.Flows[0].Refused = 3, 2
		r.Flows[1].Refused = 1
		r.Refused = []report.Refused{{Flow: r.Flows[1], Reason: "the policy allows it"}}
	})
	page := rendered(t, run, nil)
	text := textOf(elements(t, page)["main"][0])
	for _, want := range []string{
		"Denied 2 2 refused in the kernel", "denied new 3 3 2 1", "refused 2",
		"refused shop -> db:2/TCP: the policy allows it",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	type columns struct{ would, refused float64 }
	got := make(map[string]columns)
	d := decoded(t, page)
	for _, f := range d.Flows {
		got[d.Strings[int(f[2].(float64))]] = columns{f[11].(float64), f[12].(float64)}
	}
	want := map[string]columns{"1": {3, 2}, "2": {0, 1}, "3": {}, "4": {}, "53": {}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(columns{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	flows := Flows(run)
	if f := flows[0]; f.WouldRefuse != 3 || f.Refused != 2 {
		t.Errorf("JSON: %+v", f)
	}
}

// One flow of two tests is one row, with the sum of the counts, the earliest time and the worst verdict.
func TestModel_FoldsTests(t *testing.T) {
	start := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	a, b := judgedRun(nil).Results[0], judgedRun(func(r *Result) { r.Denied, r.File.Check = nil, nil }).Results[0]
	a.File.Started, b.File.Started = start.Add(500*time.Millisecond), start
	m := newModel(Run{Results: []Result{a, b}})
	got := m.Rows[0]
	got.Seen = nil
	want := row{
		From: 1, To: 0, Port: "1", Protocol: "TCP", Verdict: denied, New: true, Count: 2, First: time.Second,
		Tests: []int{0, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(summary{Tests: 2, Failed: 1, Flows: 5, Denied: 2, New: 3}, m.Summary); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Recordings of one test, such as those of two machines, are distinguished; all others are not.
func TestModel_DistinguishesRecordings(t *testing.T) {
	named := func(test string, minute int) Result {
		r := Result{Result: report.Result{Package: module, Report: report.Report{Test: test, Diff: "+a\n"}}}
		if minute >= 0 {
			r.File.Started = time.Date(2026, 3, 4, 9, minute, 0, 0, time.UTC)
		}
		return r
	}
	run := Run{Results: []Result{named("TestA", 0), named("TestA", -1), named("TestB", 1)}}
	var got []string
	for _, one := range newModel(run).Tests {
		got = append(got, one.Recording)
	}
	want := []string{"recording 1 of 2, begun 2026-03-04 09:00:00 UTC", "recording 2 of 2", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	file := policyFiles(run)[0]
	if diff := cmp.Diff([]string{"TestA", "TestB"}, file.Tests); diff != "" || len(file.Diffs) != 2 {
		t.Errorf("%d diffs, tests (-want +got)\n%s", len(file.Diffs), diff)
	}
}

func TestPolicies_HitsAndUnusedRules(t *testing.T) {
	run := judgedRun(func(r *Result) {
		r.Golden, r.Unused = "a.yaml", []string{"rule 2", "rule 3"}
	})
	other := judgedRun(func(r *Result) {
		r.Golden, r.Unused = "a.yaml", []string{"rule 3"}
	})
	files := policyFiles(Run{Results: append(run.Results, other.Results...)})
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	want := []rule{{Policy: "shop", Text: "rule 1 (pods app=db)", Flows: 1, Count: 2}}
	if diff := cmp.Diff(want, files[0].Rules); diff != "" {
		t.Errorf("rules (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"rule 3"}, files[0].Unused); diff != "" {
		t.Errorf("unused rules (-want +got)\n%s", diff)
	}
}

// A file that packages share is one file, whose unused rules count once.
func TestPolicies_SharedByPackages(t *testing.T) {
	of := func(pkg, golden string) Result {
		return judgedRun(func(r *Result) {
			r.Package, r.Golden, r.Unused = "example.com/"+pkg, golden, []string{"rule 3"}
			r.Tree = report.Tree{Package: pkg, Golden: path.Join(pkg, golden)}
		}).Results[0]
	}
	m := newModel(Run{Results: []Result{of("shop", "../all.yaml"), of("pay", "../all.yaml"), of("pay", "own.yaml")}})
	var got []string
	for _, f := range m.Files {
		got = append(got, f.Golden+" of "+f.Package)
	}
	want := []string{"all.yaml of example.com/shop, example.com/pay", "own.yaml of example.com/pay"}
	if diff := cmp.Diff(want, got); diff != "" || m.Summary.Unused != 2 {
		t.Errorf("%d unused rules, want 2; files (-want +got)\n%s", m.Summary.Unused, diff)
	}
}

// Rules count only what the golden file still allows.
func TestPolicies_ChangedGoldenFile(t *testing.T) {
	for _, row := range []struct {
		reason string
		change func(*Result)
		want   []rule
	}{
		{"removed", func(r *Result) { r.Missing = true }, nil},
		{"a rule removed", func(r *Result) { r.Denied = []report.Denied{{Flow: to(2)}} }, nil},
		{"the recording incomplete", func(r *Result) { r.Lost = "1 lost" }, nil},
		{"unchanged", nil, []rule{{Policy: "shop", Text: "rule 1 (pods app=db)", Flows: 1, Count: 1}}},
	} {
		if diff := cmp.Diff(row.want, policyFiles(judgedRun(row.change))[0].Rules); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
	}
}

func TestGraph_SVG(t *testing.T) {
	all := elements(t, rendered(t, generated(40), columns))
	nodes, edges := 0, 0
	for _, g := range all["g"] {
		switch class := attribute(g, "class"); {
		case strings.HasPrefix(class, "node "):
			nodes++
			if attribute(g, "tabindex") != "0" || attribute(g, "role") != "button" || !strings.Contains(textOf(g), ": ") {
				t.Errorf("no keyboard or screen reader reaches %v", g.Attr)
			}
		case strings.HasPrefix(class, "edge"):
			edges++
			if title := textOf(g); !strings.Contains(title, "client.go:") || !strings.Contains(title, ".test (pid 40") {
				t.Errorf("no evidence in %q", title)
			}
		}
	}
	m := newModel(generated(40))
	if nodes != len(m.Nodes) || edges != len(m.pairs()) {
		t.Errorf("%d nodes and %d edges, want %d and %d", nodes, edges, len(m.Nodes), len(m.pairs()))
	}
	if got := len(elements(t, rendered(t, generated(40), nil))["svg"]); got != 0 {
		t.Errorf("%d graphs without a layout", got)
	}
}

func TestGraph_LayoutErrors(t *testing.T) {
	failed := errors.New("no memory")
	for _, row := range []struct {
		reason string
		layout Layout
		want   string
	}{
		{"its own error", func(Graph) (Positions, error) { return Positions{}, failed }, "draw graph: no memory"},
		{"no positions", func(Graph) (Positions, error) { return Positions{}, nil }, "positions of 0 nodes and 0 edges"},
		{"a curve without an end", func(g Graph) (Positions, error) {
			at, err := columns(g)
			at.Edges[0] = at.Edges[0][:2]
			return at, err
		}, "edge 0: 2 points"},
	} {
		var b bytes.Buffer
		err := Render(&b, generated(10), row.layout)
		if err == nil || !strings.Contains(err.Error(), row.want) || b.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want %q", row.reason, err, b.Len(), row.want)
		}
	}
}

// Screen readers need names and headers.
func TestRender_Accessible(t *testing.T) {
	all := elements(t, rendered(t, generated(60), columns))
	if attribute(all["html"][0], "lang") != "en" || len(all["h1"]) != 1 || len(all["main"]) != 1 {
		t.Error("the page lacks its language, heading or main part")
	}
	for _, th := range all["th"] {
		if s := attribute(th, "scope"); s != "col" && s != "row" {
			t.Errorf("the header %q has scope %q", textOf(th), s)
		}
	}
	ids := make(map[string]bool)
	for _, nodes := range all {
		for _, n := range nodes {
			if id := attribute(n, "id"); id != "" && ids[id] {
				t.Errorf("two elements have id %q", id)
			} else {
				ids[id] = true
			}
		}
	}
	for _, nodes := range all {
		for _, n := range nodes {
			for _, name := range []string{"aria-labelledby", "aria-describedby", "for"} {
				if ref := attribute(n, name); ref != "" && !ids[ref] {
					t.Errorf("%s=%q refers to nothing", name, ref)
				}
			}
			if href := attribute(n, "href"); href != "" && !ids[strings.TrimPrefix(href, "#")] {
				t.Errorf("%q leads nowhere", href)
			}
		}
	}
	for _, b := range all["button"] {
		if textOf(b) == "" {
			t.Errorf("a button has no text: %v", b.Attr)
		}
	}
}

func TestMatrix_Limits(t *testing.T) {
	var run Run
	for i := range maxMatrix + 5 {
		f := to(1)
		f.Source.Name, f.Destination.Name = "a"+strconv.Itoa(i), "b"+strconv.Itoa(i)
		f.Count = uint64(i + 1)
		run.Results = append(run.Results, Result{Result: report.Result{Flows: []flow.Flow{f}}})
	}
	got := newMatrix(newModel(run))
	if len(got.Lines) != maxMatrix || len(got.Columns) != maxMatrix || !strings.Contains(got.More, "40 of 45 sources") {
		t.Errorf("%d lines, %d columns: %s", len(got.Lines), len(got.Columns), got.More)
	}
	if label := got.Lines[0].Label; label == "a0" {
		t.Error("the line with the least traffic is shown")
	}
}

func TestHeat_Logarithmic(t *testing.T) {
	for _, row := range []struct {
		n, highest uint64
		want       int
	}{{0, 0, 1}, {1, 1, 1}, {1, 100, 1}, {10, 100, 3}, {99, 100, 5}, {100, 100, 5}, {1, 1 << 63, 1}} {
		if got := heat(row.n, row.highest); got != row.want {
			t.Errorf("heat of %d of %d: %d, want %d", row.n, row.highest, got, row.want)
		}
	}
}

func TestShort_FourCharacters(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 980: "980", 1000: "1.0k", 1234: "1.2k", 9949: "9.9k", 9950: "10k", 34_000: "34k", 999_499: "999k",
		999_500: "1.0M", 1 << 63: "9.2E", 5_000_000_000: "5.0G",
	} {
		if got := short(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
