package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Paper shows all flows, unfolded policies and the filter, and nothing to click.
func TestPrint_ShowsAll(t *testing.T) {
	w := open(t, rendered(t, large(450)))
	w.click(".file[open] summary")
	w.fill("-to:host-00")
	rows, status, folded := len(w.flows()), w.text("#status"), w.count("details:not([open])")
	if rows != 200 || folded == 0 || !strings.HasSuffix(status, "; the first 200 are shown") {
		t.Fatalf("before: %d rows, %d folded, status %q", rows, folded, status)
	}
	w.media("print", "dark")
	w.wait(`document.getElementById("rows").rows.length > 200`) // the event follows the change of the media
	all := len(w.flows())
	if want := strings.Fields(status)[0]; w.text("#status") != want+" of 450 flows" || all != 445 {
		t.Errorf("paper has %d flows, %q", all, w.text("#status"))
	}
	visible := eval[string](w, `document.body.innerText`)
	for _, want := range []string{"Filter: -to:host-00", "Test008", "service-08", "1473"} {
		if !strings.Contains(visible, want) {
			t.Errorf("paper has no %q", want)
		}
	}
	if got := w.count("details:not([open])"); got != 0 {
		t.Errorf("%d parts are folded", got)
	}
	controls := eval[[]string](w, `[...document.querySelectorAll("input, nav a, .tabs button, .more button")].filter(
		e => e.checkVisibility()).map(e => e.outerHTML)`)
	if len(controls) > 0 {
		t.Errorf("paper shows %q", controls)
	}
	w.width(718) // A4, with the margins of the browser
	cut := eval[[]string](w, `[...document.querySelectorAll("#cells, svg, th, td, pre, li")].filter(e =>
		!e.closest(".hidden") && (e.getBoundingClientRect().right > 718 || e.scrollWidth > e.clientWidth + 1 &&
			e.clientWidth > 0 && !e.closest("#cells"))).map(e => e.outerHTML.slice(0, 120))`)
	if len(cut) > 0 {
		t.Errorf("%d parts are cut off, such as %s", len(cut), cut[0])
	}
	w.shoot("print")
	w.media("screen", "light")
	w.wait(`document.getElementById("rows").rows.length <= 200`)
	type state struct {
		rows, folded int
		status       string
	}
	got := state{len(w.flows()), w.count("details:not([open])"), w.text("#status")}
	if want := (state{rows, folded, status}); got != want {
		t.Errorf("afterwards %+v, want %+v", got, want)
	}
}

// A printer gets the same. A PDF of a row for each flow has more pages than one of the first 200.
func TestPrint_PDF(t *testing.T) {
	pages := func(w *window) int {
		pdf := result(w, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4), chromedp.PDFPrintBackground()))
		if *shots != "" {
			if err := os.WriteFile(filepath.Join(*shots, "print.pdf"), pdf, 0o644); err != nil {
				t.Error(err)
			}
		}
		return bytes.Count(pdf, []byte("/Type /Page\n"))
	}
	w := open(t, rendered(t, large(700)))
	w.media("", "light")
	w.fill("port:1024")
	one := pages(w)
	w.fill("")
	all := pages(w)
	if one < 2 || all-one < 12 {
		t.Errorf("%d pages with one flow, %d with 700", one, all)
	}
	if got := len(w.flows()); got != 200 {
		t.Errorf("%d rows afterwards, want 200", got)
	}
}
