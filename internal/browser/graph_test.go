package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

var cartFlows = []string{"cart > redis:6379", "checkout > cart:7070", "frontend > cart:7070"}

// node returns the CSS selector of a node, or of all nodes for "".
func (w *window) node(label string) string {
	w.t.Helper()
	i := eval[string](w, `[...document.querySelectorAll(".node")].find(
		n => n.querySelector("title").textContent.startsWith(%s + ", ")).dataset.node`, label)
	return `.node[data-node="` + i + `"]`
}

// active returns the label of the node that has the focus.
func (w *window) active() string {
	w.t.Helper()
	return eval[string](w, `document.activeElement.querySelector("title").textContent.split(", ")[0]`)
}

// A click on a node shows its flows with their evidence.
func TestGraph_ClickSelectsFlows(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.click(w.node("cart"))
	if diff := cmp.Diff(cartFlows, w.pairs()); diff != "" {
		t.Errorf("flows (-want +got)\n%s", diff)
	}
	evidence := w.evidence()
	for _, want := range []string{
		"opened|once, 31ms after the recording started", "in|container cart-1 (image shop/cart:1.2)",
		"opened|1200 times, first 12ms after the recording started",
		"at|checkout/client.go:12 (*Client).Do, through net/http",
		"by|frontend.test (pid 4711): /tmp/frontend.test -test.v", "no policy|no policy is committed",
	} {
		if !slices.Contains(evidence, want) {
			t.Errorf("no %q in %q", want, evidence)
		}
	}
	if top := eval[float64](w, `document.getElementById("table").getBoundingClientRect().top`); top < 0 || top > 900 {
		t.Errorf("the table is %v pixels below the top of the window", top)
	}
}

// A click on a line shows the flows between its ends.
func TestGraph_ClickOnLine(t *testing.T) {
	w := open(t, rendered(t, shop()))
	edge := eval[string](w, `(e => "[data-from='" + e.dataset.from + "'][data-to='" + e.dataset.to + "']")(
		[...document.querySelectorAll(".edge")].find(
			e => e.querySelector("title").textContent.startsWith("checkout to api.stripe.com: ")))`)
	w.do(chromedp.ScrollIntoView(chromedp.CSS("svg")))
	at := eval[[2]float64](w, `(path => {
		const p = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
		return [p.x, p.y];
	})(document.querySelector(".edge" + %s + " .line"))`, edge)
	w.do(chromedp.MouseClickXY(at[0], at[1]))
	if diff := cmp.Diff([]string{"checkout > api.stripe.com:443"}, w.pairs()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := w.evidence(); len(got) != 7 {
		t.Errorf("evidence %q", got)
	}
}

// The pointer above a node makes all but its neighbors and lines fade. The title of a line has the evidence.
func TestGraph_HoverShowsNeighbors(t *testing.T) {
	w := open(t, rendered(t, shop()))
	redis := w.node("redis")
	w.do(chromedp.ScrollIntoView(chromedp.CSS(redis)))
	at := eval[[2]float64](w, `(r => [r.left + r.width / 2, r.top + r.height / 2])(
		document.querySelector(%s).getBoundingClientRect())`, redis)
	w.do(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1], chromedp.ButtonType(input.MouseButtonNone)))
	clear := eval[[]string](w, `[...document.querySelectorAll(".node")].filter(
		n => getComputedStyle(n).opacity === "1").map(n => n.querySelector("title").textContent.split(", ")[0])`)
	slices.Sort(clear)
	if diff := cmp.Diff([]string{"cart", "redis"}, clear); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := w.count(".edge.near"); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
	title := w.text(".edge.near title")
	for _, want := range []string{
		"cart to redis: 1 flow, seen once, 1 new (6379/TCP)", "opened once, 31ms", "container cart-1",
	} {
		if !strings.Contains(title, want) {
			t.Errorf("no %q in %q", want, title)
		}
	}
	w.do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1, chromedp.ButtonType(input.MouseButtonNone)))
	if got := w.count("svg.traced"); got != 0 {
		t.Error("the graph still fades after the pointer has left")
	}
}

// The Tab key stops at one node. Arrow keys lead to others, Enter and the space bar select, Escape leads back.
func TestGraph_Keyboard(t *testing.T) {
	w := open(t, rendered(t, shop()))
	if got := w.count(`.node[tabindex="0"]`); got != 1 {
		t.Errorf("the Tab key stops at %d nodes, want 1", got)
	}
	w.do(chromedp.Focus(chromedp.CSS(`section[aria-labelledby="graph"] .scroll`)))
	w.press(kb.Tab)
	if got := w.count(`.node:focus-visible`); got != 1 {
		t.Fatalf("the Tab key leads to %q", w.focused())
	}
	w.press(kb.Tab)
	if got := w.count(`.node:focus`); got != 0 {
		t.Errorf("the Tab key leads from node to node")
	}

	w.do(chromedp.Focus(chromedp.CSS(w.node("cart"))))
	position := func() [2]float64 {
		return eval[[2]float64](w, `(r => [r.left + r.width / 2, r.top + r.height / 2])(
			document.activeElement.getBoundingClientRect())`)
	}
	for _, row := range []struct {
		key  string
		axis int
		sign float64
	}{{kb.ArrowRight, 0, 1}, {kb.ArrowLeft, 0, -1}, {kb.ArrowDown, 1, 1}, {kb.ArrowUp, 1, -1}} {
		seen := map[string]bool{}
		for !seen[w.active()] { // to the last node on this side
			seen[w.active()] = true
			was, from := position(), w.active()
			scroll := eval[[2]float64](w, `[scrollX, scrollY]`)
			w.press(row.key)
			now, scrolled := position(), eval[[2]float64](w, `[scrollX, scrollY]`)
			moved := now[row.axis] + scrolled[row.axis] - was[row.axis] - scroll[row.axis]
			if w.active() != from && moved*row.sign <= 0 {
				t.Errorf("from %s to %s the key leads by %v pixels", from, w.active(), moved)
			}
		}
		if len(seen) < 2 {
			t.Errorf("the key leads nowhere from %s", w.active())
		}
	}

	for _, key := range []string{kb.Enter, " "} {
		w.do(chromedp.Focus(chromedp.CSS(w.node("cart"))))
		w.press(key)
		if diff := cmp.Diff(cartFlows, w.pairs()); diff != "" {
			t.Errorf("%q (-want +got)\n%s", key, diff)
		}
		if got := w.count("#rows .evidence"); got != 3 {
			t.Errorf("%q: evidence of %d flows, want 3", key, got)
		}
		if got := w.focused(); got != "h2 flows" {
			t.Errorf("%q: the focus is on %q", key, got)
		}
		w.press(kb.Tab, kb.Tab, kb.Escape)
		if got := len(w.flows()); got != 11 {
			t.Errorf("%q: Escape leaves %d flows, want 11", key, got)
		}
		if got := w.active(); got != "cart" {
			t.Errorf("%q: Escape leads to %q", key, got)
		}
	}
}

// Edges and nodes show what they stand for, not by color alone.
func TestGraph_Legend(t *testing.T) {
	w := open(t, rendered(t, shop()))
	style := func(label string) string {
		return eval[string](w, `(p => p.strokeDasharray + " " + p.d.split(/[\d.\s,-]+/).join(""))(
			getComputedStyle(document.querySelector(%s).querySelector("path")))`, w.node(label))
	}
	workload, external, infrastructure := style("cart"), style("api.stripe.com"), style("kube-dns.kube-system")
	if workload == external || external == infrastructure || infrastructure == workload {
		t.Errorf("nodes of different kinds look alike: %q, %q, %q", workload, external, infrastructure)
	}
	line := func(class string) string {
		return eval[string](w, `(s => s.strokeDasharray + " " + s.strokeWidth)(
			getComputedStyle(document.querySelector(".edge" + %s + " .line")))`, class)
	}
	if a, b, c := line(".denied"), line(".new"), line(":not(.denied):not(.new)"); a == b || b == c || a == c {
		t.Errorf("lines look alike without color: denied %q, new %q, others %q", a, b, c)
	}
}
