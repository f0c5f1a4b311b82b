package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/page/graphlayout"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// actionLimit ends an action that would wait for ever. No test depends on how long an action takes.
const actionLimit = 2 * time.Minute

// window is a tab of a browser that a test started.
type window struct {
	t    *testing.T
	ctx  context.Context
	home string // of the browser's processes

	mu       sync.Mutex
	messages []string // of the console, and uncaught exceptions
	requests []string // addresses
}

// newWindow starts a browser with an empty tab. It ends with the test.
func newWindow(t *testing.T) *window {
	t.Helper()
	testenv.RequireCommand(t, "chromium", "chromium")
	w := &window{t: t, home: t.TempDir()}
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithListener(w.listen),
		chromedp.WithAllocatorOptions(
			chromedp.ExecPath("chromium"), chromedp.UserDataDir(filepath.Join(w.home, "profile")),
			chromedp.Env("HOME="+w.home), chromedp.WindowSize(1280, 900),
		))
	w.ctx = ctx
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("close browser: %v", err)
		}
		cancel()
		waitForExit(t, w.home)
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	w.media("screen", "light")
	return w
}

// open returns a window that shows a page, in parallel with other tests. The test fails if the page writes to the
// console, or requests anything else.
func open(t *testing.T, address string) *window {
	t.Helper()
	t.Parallel()
	w := newWindow(t)
	w.watch(address)
	w.do(chromedp.Navigate(address))
	return w
}

// watch lets the test fail if the page writes to the console, or requests anything but the addresses.
func (w *window) watch(addresses ...string) {
	w.t.Cleanup(func() {
		messages, requests := w.observed()
		for _, m := range messages {
			w.t.Errorf("console: %s", m)
		}
		for _, r := range requests {
			if !slices.Contains(addresses, r) {
				w.t.Errorf("the page requested %s", r)
			}
		}
	})
}

// listen keeps what the page writes and requests.
func (w *window) listen(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var text []string
		for _, a := range e.Args {
			text = append(text, string(a.Value)+a.Description)
		}
		w.messages = append(w.messages, string(e.Type)+": "+strings.Join(text, " "))
	case *runtime.EventExceptionThrown:
		d := e.ExceptionDetails
		w.messages = append(w.messages, fmt.Sprintf("exception: %s %v", d.Text, d.Exception))
	case *log.EventEntryAdded:
		w.messages = append(w.messages, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		w.requests = append(w.requests, e.Request.URL)
	}
}

// observed returns what the page has written and requested.
func (w *window) observed() (messages, requests []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.messages), slices.Clone(w.requests)
}

// do runs actions.
func (w *window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, actionLimit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatal(err)
	}
}

// result runs an action and returns its result.
func result[T any](w *window, action chromedp.Action[T]) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, actionLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// call runs a command of the DevTools protocol.
func call[P, R any](w *window, command cdp.Command[P, R], params P) R {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, actionLimit)
	defer cancel()
	v, err := chromedp.Call(ctx, command, params)
	if err != nil {
		w.t.Fatalf("%s: %v", command.Method, err)
	}
	return v
}

// eval returns the value of an expression in the page. Arguments replace the verbs %s and %d, strings as literals.
func eval[T any](w *window, expression string, args ...any) T {
	w.t.Helper()
	return result(w, chromedp.Evaluate[T](script(expression, args...)))
}

// wait waits until a condition in the page is true.
func (w *window) wait(condition string, args ...any) {
	w.t.Helper()
	w.do(chromedp.Poll[chromedp.Void](script(condition, args...), chromedp.WithPollingTimeout(0)))
}

// script returns an expression with its arguments, strings as literals.
func script(expression string, args ...any) string {
	for i, a := range args {
		if s, isText := a.(string); isText {
			literal, _ := json.Marshal(s)
			args[i] = string(literal)
		}
	}
	if len(args) == 0 {
		return expression
	}
	return fmt.Sprintf(expression, args...)
}

// click clicks the first element that a CSS selector finds. It does not wait for one.
func (w *window) click(selector string) {
	w.t.Helper()
	if w.count(selector) == 0 {
		w.t.Fatalf("click: no element is %s", selector)
	}
	w.do(chromedp.Click(chromedp.CSS(selector)))
}

// press presses keys one after the other; those without a character are in package kb.
func (w *window) press(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		w.do(chromedp.KeyEvent(k))
	}
}

// fill replaces the text of the filter by typing.
func (w *window) fill(text string) {
	w.t.Helper()
	w.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("query").select()`))
	w.press("\b")
	if text != "" {
		w.do(chromedp.SendKeys(chromedp.CSS("#query"), text))
	}
}

// filterBy replaces the text of the filter at once.
func filterBy(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](script(`(input => {
		input.value = %s;
		input.dispatchEvent(new Event("input", { bubbles: true }));
	})(document.getElementById("query"))`, text))
}

// media emulates a color scheme, "light" or "dark", and a kind of output: "screen" or "print", or "" for the one that
// the browser makes. Nothing moves, because a click would miss what does.
func (w *window) media(kind, scheme string) {
	w.t.Helper()
	call(w, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: kind, Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		},
	})
}

// width emulates a screen of so many pixels from left to right.
func (w *window) width(pixels int64) {
	w.t.Helper()
	w.do(chromedp.EmulateViewport(pixels, 900))
}

// focused describes the element that has the focus: its name, and its id or text.
func (w *window) focused() string {
	w.t.Helper()
	return eval[string](w, `(e => e.localName + " " + (e.id || e.getAttribute("aria-label") || e.textContent.trim()))(
		document.activeElement)`)
}

// text returns the text of the first element that a CSS selector finds, also where it is not visible. A space separates
// texts.
func (w *window) text(selector string) string {
	w.t.Helper()
	return eval[string](w, `(e => {
		const all = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), texts = [];
		while (all.nextNode()) {
			texts.push(all.currentNode.data);
		}
		return texts.join(" ").replace(/\s+/g, " ").trim();
	})(document.querySelector(%s))`, selector)
}

// count returns the number of elements that a CSS selector finds.
func (w *window) count(selector string) int {
	w.t.Helper()
	return eval[int](w, `document.querySelectorAll(%s).length`, selector)
}

// flows returns the rows of the table of flows: source, destination, port, protocol, verdict, count, tests, first seen.
func (w *window) flows() [][]string {
	w.t.Helper()
	return eval[[][]string](w, `[...document.querySelectorAll("#rows > tr:not(.evidence)")].map(
		row => [...row.cells].map(cell => cell.textContent))`)
}

// pairs returns source, destination and port of each row of the table.
func (w *window) pairs() []string {
	w.t.Helper()
	all := []string{}
	for _, f := range w.flows() {
		all = append(all, f[0]+" > "+f[1]+":"+f[2])
	}
	return all
}

// rendered writes the page of a run to a file, and returns its address.
func rendered(t *testing.T, run page.Run) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "netzero.html")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(page.Render(file, run, graphlayout.Layered), file.Close()); err != nil {
		t.Fatal(err)
	}
	return address(name)
}

// address returns the address of a file.
func address(file string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
}

// The browser leaves no process: each has this home in its environment.
func waitForExit(t *testing.T, home string) {
	t.Helper()
	deadline := time.Now().Add(actionLimit)
	for {
		left := processes(home)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("processes of the browser are left: %v", left)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// processes returns those with a home, by their directories in /proc. It returns none where there is no /proc.
func processes(home string) []string {
	var all []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environments {
		text, err := os.ReadFile(name) // the process may have ended
		if err == nil && slices.Contains(strings.Split(string(text), "\x00"), "HOME="+home) {
			all = append(all, filepath.Dir(name))
		}
	}
	return all
}
