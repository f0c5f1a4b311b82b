package browser

import (
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// reload loads the page again, and waits until its script has run.
func (w *window) reload() {
	w.t.Helper()
	result(w, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Reload()))
}

// A reload keeps the filter and the order.
func TestState_SurvivesReload(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.fill(`end:cart -to:"redis"`)
	w.click(".flows th:nth-child(1) button")
	w.click(".flows th:nth-child(1) button")
	want := []string{"frontend > cart:7070", "checkout > cart:7070"}
	if diff := cmp.Diff(want, w.pairs()); diff != "" {
		t.Fatalf("before (-want +got)\n%s", diff)
	}
	w.reload()
	if diff := cmp.Diff(want, w.pairs()); diff != "" {
		t.Errorf("after a reload (-want +got)\n%s", diff)
	}
	if got := eval[string](w, `document.getElementById("query").value`); got != `end:cart -to:"redis"` {
		t.Errorf("after a reload the filter is %q", got)
	}
	if got := eval[string](w, `document.querySelector("[aria-sort]").ariaSort`); got != "descending" {
		t.Errorf("after a reload the order is %s", got)
	}
	w.fill("")
	w.reload()
	if got := len(w.flows()); got != 11 {
		t.Errorf("%d flows after a reload without a filter, want 11", got)
	}
}

// The address of the page is a link to its filtered flows.
func TestState_Link(t *testing.T) {
	at := rendered(t, shop())
	w := newWindow(t)
	w.watch(at)
	for _, row := range []struct {
		reason, fragment string
		want             []string
	}{
		{"a filter", "#filter=" + url.QueryEscape(`from:"checkout" port:7070`), []string{"checkout > cart:7070"}},
		{"an order that does not exist", "#sort=5&filter=from:cart", []string{"cart > redis:6379"}},
		{"an order that is no number", "#filter=from:cart&sort=constructor", []string{"cart > redis:6379"}},
		{"malformed escapes", "#filter=from:cart%", []string{}},
		{"HTML", "#filter=" + url.QueryEscape(`<img src=x onerror="hacked = 1">`), []string{}},
	} {
		w.do(chromedp.Navigate("about:blank"), chromedp.Navigate(at+row.fragment))
		if diff := cmp.Diff(row.want, w.pairs()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
		if top := eval[float64](w, `document.getElementById("query").getBoundingClientRect().top`); top < 0 || top > 900 {
			t.Errorf("%s: the filter is %v pixels below the top of the window", row.reason, top)
		}
		if got := eval[string](w, `String(window.hacked)`); got != "undefined" {
			t.Errorf("%s: hacked is %s", row.reason, got)
		}
	}
}

// A page without a filter begins at its top.
func TestState_LinkWithoutFilter(t *testing.T) {
	w := open(t, rendered(t, shop()))
	if got := eval[float64](w, `scrollY`); got != 0 || len(w.flows()) != 11 {
		t.Errorf("scrolled by %v pixels, %d flows", got, len(w.flows()))
	}
}

// The Back button leads from the flows of a node to the flows before. Links to sections change no filter.
func TestState_Back(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.fill("end:checkout")
	before := w.pairs()
	w.click(w.node("cart"))
	if diff := cmp.Diff(cartFlows, w.pairs()); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	w.click(`nav a[href="#policies"]`)
	if diff := cmp.Diff(cartFlows, w.pairs()); diff != "" {
		t.Errorf("after a link to a section (-want +got)\n%s", diff)
	}
	back := func(filter string) {
		w.do(chromedp.Evaluate[chromedp.Void](`history.back()`))
		w.wait(`location.hash === "#" + new URLSearchParams({ filter: %[1]s }) &&
			document.getElementById("query").value === %[1]s`, filter)
	}
	back(`end:"cart"`)
	if diff := cmp.Diff(cartFlows, w.pairs()); diff != "" {
		t.Errorf("back from the section (-want +got)\n%s", diff)
	}
	back("end:checkout")
	if diff := cmp.Diff(before, w.pairs()); diff != "" {
		t.Errorf("back from the node (-want +got)\n%s", diff)
	}
}

// Escape clears the filter wherever the focus is, and nothing else.
func TestState_Escape(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.fill("from:cart")
	w.press(kb.Escape)
	if got := len(w.flows()); got != 11 {
		t.Errorf("%d flows, want 11", got)
	}
	if got := w.focused(); got != "input query" {
		t.Errorf("the focus is on %q", got)
	}
	w.press(kb.Escape)
	if got := w.focused(); got != "input query" || len(w.flows()) != 11 {
		t.Errorf("the second Escape: focus on %q, %d flows", got, len(w.flows()))
	}
}
