package browser

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

func TestTable_Filters(t *testing.T) {
	w := open(t, rendered(t, shop()))
	for _, row := range []struct {
		reason, query string
		want          []string
	}{
		{"a workload at either end", "end:cart", []string{
			"cart > redis:6379", "checkout > cart:7070", "frontend > cart:7070",
		}},
		{"a source", "from:cart", []string{"cart > redis:6379"}},
		{"a destination", "to:stripe", []string{"checkout > api.stripe.com:443"}},
		{"a whole name", `to:"checkout"`, []string{"frontend > checkout:5050"}},
		{"a part of a name is not a whole one", `to:"check"`, nil},
		{"a port", "port:443", []string{"checkout > api.stripe.com:443", "frontend > kubernetes.default:443"}},
		{"a part of a port is not one", "port:44", nil},
		{"a protocol", "port:UDP", []string{"checkout > kube-dns.kube-system:53", "frontend > kube-dns.kube-system:53"}},
		{"a verdict", "verdict:denied", []string{"checkout > api.stripe.com:443"}},
		{"a verdict of two words", `verdict:"no policy"`, []string{"cart > redis:6379"}},
		{"new flows", "verdict:new", []string{"checkout > api.stripe.com:443", "cart > redis:6379"}},
		{"a test", "test:TestSearch", []string{"search > catalog:3550"}},
		{"a line of Go", "client.go:57", []string{"checkout > api.stripe.com:443"}},
		{"a container", "cart-1", []string{"cart > redis:6379"}},
		{"a reason", "nearest", []string{"checkout > api.stripe.com:443"}},
		{"two terms", "end:cart port:7070", []string{"checkout > cart:7070", "frontend > cart:7070"}},
		{"upper case", "END:CART PORT:7070 FROM:FRONT", []string{"frontend > cart:7070"}},
		{"without", "end:cart -from:checkout -verdict:new", []string{"frontend > cart:7070"}},
		{"nothing", "no-such-name", nil},
	} {
		w.do(filterBy(row.query))
		if row.want == nil {
			row.want = []string{}
		}
		if diff := cmp.Diff(row.want, w.pairs()); diff != "" {
			t.Errorf("%s: %s (-want +got)\n%s", row.reason, row.query, diff)
		}
		want := strconv.Itoa(len(row.want)) + " of 11 flows"
		if got := w.text("#status"); got != want {
			t.Errorf("%s: status %q, want %q", row.reason, got, want)
		}
	}
	w.fill("") // by the keyboard
	if got := len(w.flows()); got != 11 {
		t.Errorf("%d flows without a filter, want 11", got)
	}
}

// A term that is being typed does not empty the table.
func TestTable_FiltersWhileTyping(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.fill("to:")
	for _, letter := range strings.Split(`"kube-dns.kube-system"`, "") {
		w.press(letter)
		if got := w.flows(); len(got) < 2 {
			t.Errorf("%q: %d flows", eval[string](w, `document.getElementById("query").value`), len(got))
		}
	}
	if got := len(w.flows()); got != 2 {
		t.Errorf("%d flows, want 2", got)
	}
}

func TestTable_TabsFilterByVerdict(t *testing.T) {
	w := open(t, rendered(t, shop()))
	for name, want := range map[string]int{
		"all": 11, "new": 2, "denied": 1, "no policy": 1, "not compared": 1, "unprotected": 1, "allowed": 7,
	} {
		w.click(`[data-tab="` + name + `"]`)
		if got := len(w.flows()); got != want {
			t.Errorf("%s: %d flows, want %d", name, got, want)
		}
		pressed := eval[[]string](w, `[...document.querySelectorAll("[aria-pressed=true]")].map(e => e.dataset.tab)`)
		if !slices.Equal(pressed, []string{name}) {
			t.Errorf("%s: pressed are %q", name, pressed)
		}
		if got := w.text(`[data-tab="` + name + `"]`); !strings.HasSuffix(got, " "+strconv.Itoa(want)) {
			t.Errorf("%s: the button says %q", name, got)
		}
	}
	w.fill("end:cart")
	if got := w.count("[aria-pressed=true]"); got != 0 {
		t.Errorf("%d verdicts are pressed, but another filter is set", got)
	}
}

func TestTable_Sorts(t *testing.T) {
	w := open(t, rendered(t, shop()))
	column := func(i int) []string {
		var all []string
		for _, f := range w.flows() {
			all = append(all, f[i])
		}
		return all
	}
	for _, row := range []struct {
		reason string
		column int
		first  []string
		sorted string
	}{
		{"text from A on", 0, []string{"cart", "checkout", "checkout"}, "ascending"},
		{"ports as numbers", 2, []string{"53", "53", "443"}, "ascending"},
		{"the largest count first", 5, []string{"1,200", "150", "25"}, "descending"},
		{"the worst verdict first", 4, []string{"denied new", "no policy new", "not compared"}, "ascending"},
		{"the most refused first", 7, []string{"1", "", ""}, "descending"},
		{"the earliest first", 9, []string{"+11ms", "+12ms", "+13ms"}, "ascending"},
	} {
		header := ".flows th:nth-child(" + strconv.Itoa(row.column+1) + ")"
		w.click(header + " button")
		if diff := cmp.Diff(row.first, column(row.column)[:3]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
		sorted := eval[[]string](w, `[...document.querySelectorAll("[aria-sort]")].map(
			e => e.cellIndex + " " + e.getAttribute("aria-sort"))`)
		if want := []string{strconv.Itoa(row.column) + " " + row.sorted}; !slices.Equal(sorted, want) {
			t.Errorf("%s: sorted by %q, want %q", row.reason, sorted, want)
		}
		was := column(row.column)
		w.do(chromedp.Focus(chromedp.CSS(header + " button")))
		w.press(kb.Enter)
		if got := column(row.column); got[0] == was[0] {
			t.Errorf("%s: Enter on the header does not reverse the order", row.reason)
		}
	}
}

// A row shows and hides the evidence of its flow.
func TestTable_Evidence(t *testing.T) {
	w := open(t, rendered(t, shop()))
	want := []string{
		"opened|once, 57ms after the recording started",
		"refused|in the kernel",
		"at|checkout/client.go:57 (*Client).Do, through net/http",
		"by|checkout.test (pid 4711): /tmp/checkout.test -test.v",
		"name|from TLS server name",
		"address|203.0.113.7",
		"denied|policy checkout: no rule allows api.stripe.com; the nearest is rule 2 (pods app=currency)",
	}
	for _, row := range []struct {
		reason string
		toggle func()
	}{
		{"a click on the name", func() { w.click("#rows .toggle") }},
		{"a click elsewhere in the row", func() { w.click("#rows tr.flow td:nth-child(6)") }},
		{"Enter", func() { w.do(chromedp.Focus(chromedp.CSS("#rows .toggle"))); w.press(kb.Enter) }},
		{"the space bar", func() { w.do(chromedp.Focus(chromedp.CSS("#rows .toggle"))); w.press(" ") }},
	} {
		row.toggle()
		if diff := cmp.Diff(want, w.evidence()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
		if got := eval[string](w, `document.querySelector("#rows .toggle").ariaExpanded`); got != "true" {
			t.Errorf("%s: expanded is %q", row.reason, got)
		}
		if got := w.text(".evidence h3"); got != "TestCheckout example.com/shop/checkout" {
			t.Errorf("%s: title %q", row.reason, got)
		}
		row.toggle()
		if got := w.evidence(); len(got) > 0 {
			t.Errorf("%s: the second one does not hide %q", row.reason, got)
		}
	}
	w.fill("from:cart")
	w.click("#rows .toggle")
	if got := w.evidence(); !slices.Contains(got, "in|container cart-1 (image shop/cart:1.2)") {
		t.Errorf("no container in %q", got)
	}
}

// evidence returns the evidence that the table shows: labels and texts.
func (w *window) evidence() []string {
	w.t.Helper()
	return eval[[]string](w, `[...document.querySelectorAll("#rows .evidence dd")].map(dd => {
		let dt = dd;
		while (dt.localName !== "dt") {
			dt = dt.previousElementSibling;
		}
		return dt.textContent + "|" + dd.textContent;
	})`)
}

// A text that the reader selects is not a click.
func TestTable_SelectingTextUnfoldsNothing(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.do(chromedp.ScrollIntoView(chromedp.CSS("#rows tr.flow td:nth-child(2)")))
	at := eval[[4]float64](w, `(r => [r.left, r.top, r.right, r.bottom])((() => {
		const range = document.createRange();
		range.selectNodeContents(document.querySelector("#rows tr.flow td:nth-child(2)"));
		return range.getBoundingClientRect();
	})())`)
	y := (at[1] + at[3]) / 2
	left := chromedp.ButtonType(input.MouseButtonLeft)
	w.do(chromedp.MouseEvent(chromedp.MousePressed, at[0], y, left, chromedp.ClickCount(1)),
		chromedp.MouseEvent(chromedp.MouseMoved, at[2], y, left),
		chromedp.MouseEvent(chromedp.MouseReleased, at[2], y, left, chromedp.ClickCount(1)))
	if got := eval[string](w, `String(getSelection())`); !strings.Contains("api.stripe.com", got) || len(got) < 10 {
		t.Errorf("selected %q", got)
	}
	if got := w.count("#rows tr.evidence"); got > 0 {
		t.Errorf("%d rows are unfolded", got)
	}
}
