package browser

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// serve starts netzero report -serve for the recordings of the module, and returns its address and what ends it.
func (m goModule) serve(t *testing.T) (address string, stop func()) {
	t.Helper()
	cmd := m.netzero("report", "-serve", "127.0.0.1:0", m.recordings)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil || errors.Len() > 0 {
			t.Errorf("netzero report -serve: %v\n%s", err, errors.String())
		}
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v\n%s", err, errors.String())
	}
	return strings.TrimSpace(line), stop
}

// live opens a served page, in parallel with other tests. It may request itself and its version.
func live(t *testing.T, at string) *window {
	t.Helper()
	t.Parallel()
	w := newWindow(t)
	w.watch(at, at+"api/version")
	w.do(chromedp.Navigate(at))
	return w
}

func TestServe_UpdatesAndKeepsWhatIsChosen(t *testing.T) {
	m := newModule(t)
	m.record(t, machines[0], "TestPay.json", "TestPay",
		dialed("pay", service("db"), 5432, 12), dialed("pay", service("ledger"), 8080, 20))
	at, _ := m.serve(t)
	w := live(t, at)
	if got := w.text("#live"); got != "Updates while tests run." {
		t.Errorf("state %q", got)
	}

	// The reader filters, sorts, unfolds evidence and a policy diff, and goes to a row.
	w.fill("from:pay -to:kube-dns")
	w.click(".flows th:nth-child(3) button")
	w.click("#rows tr.flow:nth-child(2) .toggle")
	w.do(chromedp.Focus(chromedp.CSS("#rows tr.flow:nth-child(1) .toggle")))
	w.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, document.getElementById("table").offsetTop)`))
	before := []string{"pay > db:5432", "pay > ledger:8080"}
	if diff := cmp.Diff(before, w.pairs()); diff != "" {
		t.Fatalf("before (-want +got)\n%s", diff)
	}
	evidence, top := w.evidence(), eval[float64](w, `document.getElementById("table").getBoundingClientRect().top`)

	// Another test ends.
	m.record(t, machines[0], "TestShip.json", "TestShip",
		dialed("pay", service("mail"), 25, 30), dialed("pay", service("db"), 5432, 31))
	w.wait(`document.querySelector("header p").textContent.startsWith("2 recordings")`)

	if diff := cmp.Diff([]string{"pay > mail:25", "pay > db:5432", "pay > ledger:8080"}, w.pairs()); diff != "" {
		t.Errorf("after (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(evidence, w.evidence()); diff != "" {
		t.Errorf("evidence (-before +after)\n%s", diff)
	}
	if got := eval[string](w, `document.getElementById("query").value`); got != "from:pay -to:kube-dns" {
		t.Errorf("filter %q", got)
	}
	if got := eval[string](w, `document.querySelector("[aria-sort=ascending]").textContent`); got != "Port" {
		t.Errorf("sorted by %q", got)
	}
	if got := eval[string](w, `document.activeElement.closest("tr").cells[1].textContent`); got != "db" {
		t.Errorf("the focus is in the row of %q", got)
	}
	now := eval[float64](w, `document.getElementById("table").getBoundingClientRect().top`)
	if now < top-60 || now > top+60 {
		t.Errorf("the table has moved from %v to %v", top, now)
	}
	if got := w.text(".tiles"); !strings.HasPrefix(got, "Tests 2 2 failed Flows 5 distinct") {
		t.Errorf("summary %q", got)
	}
	// What is new works: graph, matrix, table, policies.
	w.click(cells + `[title^="pay to mail: "]`)
	if diff := cmp.Diff([]string{"pay > mail:25"}, w.pairs()); diff != "" {
		t.Errorf("a new cell (-want +got)\n%s", diff)
	}
	w.click(w.node("mail"))
	if got := w.evidence(); len(got) == 0 || got[0] != "opened|once, 30ms after the recording started" {
		t.Errorf("a new node: evidence %q", got)
	}
	if got := w.count(".file"); got != 2 {
		t.Errorf("%d golden files, want 2", got)
	}
}

// A page that is open before the first test fills as tests end. When the server has ended it says so, and keeps its
// results.
func TestServe_FromStartToEnd(t *testing.T) {
	m := newModule(t)
	at, stop := m.serve(t)
	w := newWindow(t)
	w.do(chromedp.Navigate(at))
	if got := w.text("main"); !strings.Contains(got, "There are no recordings.") {
		t.Errorf("an empty page says %q", got)
	}
	m.record(t, machines[0], "TestPay.json", "TestPay", dialed("pay", service("db"), 5432, 12))
	w.wait(`document.querySelector("header p").textContent.startsWith("1 recording ")`)
	w.click(cells + `[title^="pay to db: "]`)
	if diff := cmp.Diff([]string{"pay > db:5432"}, w.pairs()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if messages, _ := w.observed(); len(messages) > 0 {
		t.Errorf("console: %q", messages)
	}
	stop()
	w.wait(`document.getElementById("live").textContent === "The server does not answer. These are its last results."`)
	if got := len(w.flows()); got != 1 {
		t.Errorf("%d flows after the end of the server, want 1", got)
	}
}

// Names of others stay text also where they appear later.
func TestServe_HostileNamesStayText(t *testing.T) {
	m := newModule(t)
	m.record(t, machines[0], "TestPay.json", "TestPay", dialed("pay", service("db"), 5432, 12))
	at, _ := m.serve(t)
	w := live(t, at)
	var all []flow.Flow
	for i, name := range hostileNames {
		f := dialed("pay", service(name), uint16(1000+i), 12)
		f.Named, f.Process.Container, f.Process.Image, f.Process.Name = name, name, name, name
		all = append(all, f)
	}
	m.record(t, machines[0], "TestShip.json", "TestShip", all...)
	w.wait(`document.querySelector("header p").textContent.startsWith("2 recordings")`)
	for _, name := range hostileNames {
		clean := report.Line(strings.ToValidUTF8(name, "\ufffd")) // as JSON has it
		if got := eval[int](w, `[...document.querySelectorAll("#rows tr.flow")].filter(
			tr => tr.cells[1].textContent === %s).length`, clean); got != 1 {
			t.Errorf("%.60q: %d rows, want 1", clean, got)
		}
		if got := eval[int](w, `[...document.querySelectorAll("#cells th[scope=col]")].filter(
			th => th.textContent === %s).length`, clean); got != 1 {
			t.Errorf("%.60q: %d columns of the matrix, want 1", clean, got)
		}
	}
	eval[int](w, `[...document.querySelectorAll("button, summary")].filter(e => e.checkVisibility()).map(
		e => e.click()).length`)
	if got := eval[string](w, `String(window.hacked)`); got != "undefined" {
		t.Errorf("the page ran what set hacked to %s", got)
	}
}
