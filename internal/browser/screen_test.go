package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/netzero-dev/netzero/internal/page"
)

// No part of the page is wider than the screen, except for what scrolls on its own.
func TestScreen_NothingIsCutOff(t *testing.T) {
	for _, run := range []struct {
		name string
		page.Run
	}{{"empty", page.Run{}}, {"shop", shop()}, {"large", large(1000)}, {"hostile", hostile()}} {
		t.Run(run.name, func(t *testing.T) {
			w := open(t, rendered(t, run.Run))
			for _, scheme := range []string{"light", "dark"} {
				w.media("screen", scheme)
				for _, width := range []int64{320, 390, 1280, 1920} {
					w.width(width)
					if len(run.Results) > 0 && w.count("#rows .open") == 0 {
						w.click("#rows .toggle")
					}
					if got := eval[int64](w, `document.documentElement.scrollWidth`); got > width {
						t.Errorf("at %d pixels the page is %d wide: %v", width, got, wide(w))
					}
					w.shoot(fmt.Sprintf("%s-%d-%s", run.name, width, scheme))
				}
			}
		})
	}
}

// wide returns the elements that end right of the screen.
func wide(w *window) []string {
	return eval[[]string](w, `[...document.querySelectorAll("main *")].filter(
		e => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth).map(
		e => e.localName + "." + e.className + " " + e.textContent.trim().slice(0, 40))`)
}

// shoot writes a screenshot of the whole page if the flag -shots is set.
func (w *window) shoot(name string) {
	w.t.Helper()
	if *shots == "" {
		return
	}
	w.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`)) // what is sticky has its place
	png := result(w, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		w.t.Error(err)
	}
}
