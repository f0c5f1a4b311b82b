package browser

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// What must fail the other tests is observed.
func TestWindow_ObservesMessagesAndRequests(t *testing.T) {
	name := filepath.Join(t.TempDir(), "noisy.html")
	text := `<!DOCTYPE html><title>noisy</title><img src="missing.png">
		<meta http-equiv="Content-Security-Policy" content="img-src 'none'"><img src="refused.png">
		<script>console.warn("careful"); setTimeout(() => { throw new Error("uncaught") });</script>`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWindow(t)
	w.do(chromedp.Navigate(address(name)))
	w.wait(`document.readyState === "complete"`)
	messages, requests := w.observed()
	for _, want := range []string{`warning: "careful"`, "uncaught", "ERR_FILE_NOT_FOUND", "Content Security Policy"} {
		if !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, want) }) {
			t.Errorf("no %q in %q", want, messages)
		}
	}
	if !slices.ContainsFunc(requests, func(r string) bool { return strings.HasSuffix(r, "/missing.png") }) {
		t.Errorf("no request of an image in %q", requests)
	}
}

// A browser that is not closed is found.
func TestWindow_FindsProcesses(t *testing.T) {
	var home string
	t.Run("window", func(t *testing.T) {
		home = newWindow(t).home
		if len(processes(home)) == 0 {
			t.Error("the browser has no process")
		}
	})
	if left := processes(home); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
