package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// With 5,000 flows everything works as with few: the table has at most 200 more rows after each action.
func TestLarge_Usable(t *testing.T) {
	run := large(5000)
	w := open(t, rendered(t, run))
	check := func(action, status string, rows int, first string) {
		t.Helper()
		if got := w.text("#status"); got != status {
			t.Errorf("%s: status %q, want %q", action, got, status)
		}
		got := w.flows()
		if len(got) != rows {
			t.Errorf("%s: %d rows, want %d", action, len(got), rows)
		}
		if len(got) > 0 && strings.Join(got[0][:3], " ") != first {
			t.Errorf("%s: the first row is %q, want %q", action, got[0][:3], first)
		}
	}
	const all = "5,000 of 5,000 flows; the first "
	const denied = "service-00 host-07.example.com 1073"
	check("open", all+"200 are shown", 200, denied)
	w.click("#next")
	check("show more", all+"400 are shown", 400, denied)
	if got := w.focused(); got != "button service-"+w.flows()[200][0][8:] {
		t.Errorf("the focus is on %q, not on the first of the added rows", got)
	}

	w.fill("")
	for _, letter := range strings.Split("port:6023", "") {
		w.press(letter)
	}
	check("type a port", "1 of 5,000 flows", 1, "service-09 host-26.example.com 6023")
	w.press(kb.Tab)
	w.do(filterBy("from:service-17 -verdict:denied"))
	check("a source", "147 of 5,000 flows", 147, "service-17 service-18 1874")
	w.do(filterBy("client.go:33"))
	check("a line of Go", "100 of 5,000 flows", 100, "service-00 service-04 1047")
	w.do(filterBy("no such name"))
	check("what is nowhere", "0 of 5,000 flows", 0, "")
	w.press(kb.Escape)
	check("clear", all+"200 are shown", 200, denied)

	w.click(".flows th:nth-child(3) button")
	check("sort by port", all+"200 are shown", 200, "service-00 service-01 1024")
	w.click(".flows th:nth-child(3) button")
	check("reverse", all+"200 are shown", 200, "service-09 host-26.example.com 6023")
	w.click(`[data-tab="denied"]`)
	check("denied flows", "100 of 5,000 flows", 100, "service-09 host-26.example.com 6023")

	w.do(filterBy(""))
	between, to := 0, 0
	for _, r := range run.Results {
		for _, f := range r.Flows {
			if f.Destination.Name == "host-26.example.com" {
				to++
				if f.Source.Name == "service-09" {
					between++
				}
			}
		}
	}
	w.click(cells + `[title^="service-09 to host-26.example.com: "]`)
	check("a cell", fmt.Sprintf("%d of 5,000 flows", between), between, "service-09 host-26.example.com 6023")
	w.click(w.node("host-26.example.com"))
	check("a node", fmt.Sprintf("%d of 5,000 flows", to), to, "service-09 host-26.example.com 6023")
	w.click(fmt.Sprintf("#rows tr.flow:nth-child(%d) .toggle", to))
	if got := w.evidence(); len(got) != 6 {
		t.Errorf("evidence of the last row: %q", got)
	}
}

// The page of 5,000 flows is one file of moderate size, and it shows all of its policies.
func TestLarge_Policies(t *testing.T) {
	w := open(t, rendered(t, large(5000)))
	if got := w.count(".file"); got != 100 {
		t.Errorf("%d golden files, want 100", got)
	}
	if got := w.count(".file[open]"); got != 0 {
		t.Errorf("%d of many golden files are unfolded", got)
	}
	w.do(chromedp.ScrollIntoView(chromedp.CSS(".file:nth-of-type(60) summary")))
	w.click(".file:nth-of-type(60) summary")
	if got := w.count(".file[open] tbody tr"); got != 49 { // one of 50 flows is denied
		t.Errorf("%d rules, want 49", got)
	}
}
