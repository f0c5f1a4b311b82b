package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
)

// The window fails the test if the page writes to the console or requests anything.
func TestPage_Shows(t *testing.T) {
	w := open(t, rendered(t, shop()))
	want := [][]string{
		{"checkout", "api.stripe.com", "443", "TCP", "denied new", "1", "1", "1", "1", "+57ms"},
		{"cart", "redis", "6379", "TCP", "no policy new", "1", "", "", "1", "+31ms"},
		{"search", "catalog", "3550", "TCP", "not compared", "1", "", "", "1", "+41ms"},
		{"frontend", "kubernetes.default", "443", "TCP", "unprotected", "1", "", "", "1", "+2s"},
		{"checkout", "cart", "7070", "TCP", "allowed", "1,200", "", "", "1", "+12ms"},
		{"checkout", "currency", "7000", "TCP", "allowed", "5", "", "", "1", "+13ms"},
		{"checkout", "payment", "50051", "TCP", "allowed", "25", "", "", "1", "+14ms"},
		{"checkout", "kube-dns.kube-system", "53", "UDP", "allowed", "1", "", "", "1", "+11ms"},
		{"frontend", "cart", "7070", "TCP", "allowed", "150", "", "", "1", "+2s"},
		{"frontend", "checkout", "5050", "TCP", "allowed", "1", "", "", "1", "+2s"},
		{"frontend", "kube-dns.kube-system", "53", "UDP", "allowed", "1", "", "", "1", "+2s"},
	}
	if diff := cmp.Diff(want, w.flows()); diff != "" {
		t.Errorf("flows (-want +got)\n%s", diff)
	}
	for selector, want := range map[string]string{
		"header h1": "Network flows", "header p": "4 recordings of 4 packages, begun 2026-03-04 09:00:00 UTC",
		"#status": "11 of 11 flows",
		".tiles": "Tests 4 4 failed Flows 11 distinct Denied 1 1 refused in the kernel New 2 since the policies " +
			"Unused rules 1 no flow needed them Lost events 3 in 1 incomplete",
	} {
		if got := w.text(selector); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	policy := w.text(".file")
	for _, want := range []string{
		"testdata/netzero/TestCheckout.yaml", "1 unused", "rule 2 (pods app=cart) checkout 1 1,200",
		"unused rule 7 of policy checkout", "-run '^TestCheckout$' -update",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %q in %q", want, policy)
		}
	}
}

func TestPage_WithoutRecordings(t *testing.T) {
	w := open(t, rendered(t, page.Run{}))
	if got := w.text("main"); strings.Count(got, "There are no recordings.") != 2 ||
		!strings.Contains(got, "There are no flows.") {
		t.Errorf("the page does not say that it is empty: %q", got)
	}
	w.do(chromedp.SendKeys(chromedp.CSS("#query"), "db"))
	if got := w.text("#status"); got != "0 of 0 flows" {
		t.Errorf("status %q", got)
	}
}

// Without JavaScript the page can be read. It offers nothing that needs JavaScript.
func TestPage_WithoutJavaScript(t *testing.T) {
	w := newWindow(t)
	at := rendered(t, shop())
	w.watch(at)
	call(w, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	w.do(chromedp.Navigate(at))
	// The DevTools protocol still evaluates expressions.
	if got := len(w.flows()); got != 11 {
		t.Errorf("%d flows, want 11", got)
	}
	if got := w.pairs()[0]; got != "checkout > api.stripe.com:443" {
		t.Errorf("first flow %q", got)
	}
	visible := eval[string](w, `document.body.innerText`)
	for _, want := range []string{
		"A browser with JavaScript shows all flows", "denied", "1,200", "TestCheckout.yaml", "rule 2 (pods app=cart)",
		"Not protected: no policy isolates frontend for ingress", "raise NETZERO_RING_BYTES", "api.old.test",
	} {
		if !strings.Contains(visible, want) {
			t.Errorf("no %q in\n%s", want, visible)
		}
	}
	for _, not := range []string{"Filter", "Select a cell", "Select a node"} {
		if strings.Contains(visible, not) {
			t.Errorf("the page offers %q", not)
		}
	}
	w.click(".file summary")
	if w.count(".file[open]") != 3 {
		t.Error("a policy does not fold without JavaScript")
	}
}

// Policies, and the difference to what was recorded, unfold by mouse and by keyboard.
func TestPage_PoliciesUnfold(t *testing.T) {
	w := open(t, rendered(t, shop()))
	if got := w.count(".file[open]"); got != 4 {
		t.Errorf("%d unfolded policies, want 4, because all need a review", got)
	}
	w.do(chromedp.Focus(chromedp.CSS(".file details summary")))
	w.press("\r")
	if !eval[bool](w, `document.querySelector("pre .added").checkVisibility()`) {
		t.Error("Enter does not show the policy diff")
	}
	lines := eval[[]string](w, `[...document.querySelectorAll(".file details pre span")].map(
		e => e.className + "|" + e.textContent.trimEnd())`)
	if !slices.Contains(lines, "removed|-  - port: 1") || !slices.Contains(lines, "added|+  - port: 2") {
		t.Errorf("diff %q", lines)
	}
	w.click(".file summary")
	if w.count(".file[open]") != 3 {
		t.Error("a click does not fold a policy")
	}
}
