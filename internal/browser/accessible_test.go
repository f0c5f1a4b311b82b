package browser

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// element is a part of the page as a screen reader gets it.
type element struct {
	role, name string
	properties map[string]string
	parent     accessibility.NodeID
}

// tree returns the parts of the page for a screen reader, by their ids, and the ids in the order of the page.
func (w *window) tree() (map[accessibility.NodeID]element, []accessibility.NodeID) {
	w.t.Helper()
	all := make(map[accessibility.NodeID]element)
	children := make(map[accessibility.NodeID][]accessibility.NodeID)
	value := func(v *accessibility.Value) (text string) {
		if v != nil {
			var decoded any
			if err := json.Unmarshal(v.Value, &decoded); err == nil {
				text = fmt.Sprint(decoded)
			}
		}
		return text
	}
	nodes := call(w, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes
	for _, n := range nodes {
		e := element{parent: n.ParentID, properties: make(map[string]string)}
		if !n.Ignored {
			e.role, e.name = value(n.Role), value(n.Name)
		}
		for _, p := range n.Properties {
			e.properties[string(p.Name)] = value(p.Value)
		}
		all[n.NodeID] = e
		children[n.NodeID] = n.ChildIDs
	}
	var order []accessibility.NodeID
	var walk func(accessibility.NodeID)
	walk = func(id accessibility.NodeID) {
		if all[id].role != "" {
			order = append(order, id)
		}
		for _, child := range children[id] {
			walk(child)
		}
	}
	walk(nodes[0].NodeID)
	return all, order
}

// within returns the id of the nearest part with one of the roles that contains a part, or "".
func within(all map[accessibility.NodeID]element, id accessibility.NodeID, roles ...string) accessibility.NodeID {
	for id = all[id].parent; id != "" && !slices.Contains(roles, all[id].role); {
		id = all[id].parent
	}
	return id
}

// controls are the roles of what can be operated, and of what a reader jumps to.
var controls = []string{
	"button", "link", "searchbox", "textbox", "DisclosureTriangle", "region", "navigation", "table", "heading",
}

func TestAccessible_Tree(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.click("#rows .toggle")
	for _, width := range []int64{1280, 390} {
		w.width(width)
		all, order := w.tree()
		level, seen := 0, map[string]int{}
		headers := make(map[accessibility.NodeID]int) // of columns, by table
		for _, id := range order {
			if all[id].role == "columnheader" {
				headers[within(all, id, "table")]++
			}
		}
		for _, id := range order {
			e := all[id]
			seen[e.role]++
			if slices.Contains(controls, e.role) && e.name == "" {
				t.Errorf("%d pixels: a %s has no name", width, e.role)
			}
			switch e.role {
			case "heading":
				var next int
				if _, err := fmt.Sscan(e.properties["level"], &next); err != nil || next > level+1 || level == 0 && next != 1 {
					t.Errorf("%d pixels: heading %q of level %q follows one of level %d", width, e.name, e.properties["level"], level)
				}
				level = next
			case "cell":
				table := within(all, id, "table")
				if headers[table] == 0 {
					t.Errorf("%d pixels: the cell %q of table %q has no header", width, e.name, all[table].name)
				}
				if within(all, id, "row") == "" {
					t.Errorf("%d pixels: the cell %q is in no row", width, e.name)
				}
			}
		}
		for role, want := range map[string]int{
			"main": 1, "banner": 1, "navigation": 1, "contentinfo": 1, "searchbox": 1, "status": 1,
			"table": 5, // the matrix, the flows, the tests, and the rules of two golden files
		} {
			if seen[role] != want {
				t.Errorf("%d pixels: %d parts are %s, want %d", width, seen[role], role, want)
			}
		}
		// 11 nodes, 11 cells, 8 verdicts, 10 columns and 11 flows.
		if seen["button"] != 51 || seen["cell"] < 11*10 {
			t.Errorf("%d pixels: %d buttons, %d cells", width, seen["button"], seen["cell"])
		}
	}
}

// A screen reader learns what graph, matrix and table show.
func TestAccessible_Names(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.click("#rows .toggle")
	w.click(`[data-tab="all"]`)
	w.click("#rows .toggle")
	all, order := w.tree()
	var names []string
	for _, id := range order {
		e := all[id]
		text := e.role + ": " + e.name
		for _, p := range []string{"expanded", "pressed", "live"} {
			if v, known := e.properties[p]; known && v != "false" && v != "off" {
				text += " " + p + "=" + v
			}
		}
		names = append(names, text)
	}
	for _, want := range []string{
		"button: cart, workload: 3 flows, seen 1,351 times, 1 new",
		"button: api.stripe.com, external: 1 flow, seen once, 1 denied",
		"button: checkout to cart: 1 flow, seen 1,200 times",
		"rowheader: checkout",
		"table: Flows",
		"columnheader: Destination",
		"button: checkout expanded=true",
		"button: cart",
		"button: All 11 pressed=true",
		"button: Denied 1",
		"searchbox: Filter",
		"table: Rules of testdata/netzero/TestCheckout.yaml",
		"heading: TestCheckout example.com/shop/checkout",
		"navigation: Sections",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %q in %q", want, names)
		}
	}
}

// The Tab key reaches everything that can be operated, and each element shows that it has the focus.
func TestAccessible_TabKey(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.do(chromedp.Evaluate[chromedp.Void](`document.body.tabIndex = -1; document.body.focus()`))
	var reached []string
	for {
		w.press(kb.Tab)
		// An outline, or the wide border of a node; inside of the window.
		at := eval[[]string](w, `(e => {
			const style = getComputedStyle(e), box = e.getBoundingClientRect(), shape = e.querySelector("path");
			const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 ||
				e.closest("svg") && parseFloat(getComputedStyle(shape).strokeWidth) >= 3;
			const isInside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
			const front = document.elementFromPoint(box.left + Math.min(box.width, innerWidth) / 2,
				Math.max(box.top, 0) + Math.min(box.height, innerHeight) / 2);
			const isCovered = !e.contains(front) && e.closest(".scroll") === null;
			return [e.localName, e.id || e.getAttribute("class") || e.textContent.trim(),
				String(isMarked), String(isInside), String(!isCovered)];
		})(document.activeElement)`)
		if at[0] == "body" || len(reached) > 200 {
			break
		}
		reached = append(reached, at[0]+" "+at[1])
		if !slices.Equal(at[2:], []string{"true", "true", "true"}) {
			t.Errorf("%s: marked, inside of the window, not covered: %v", reached[len(reached)-1], at[2:])
		}
	}
	if reached[0] != "a skip" {
		t.Errorf("the first stop is %s, want the link to the flows", reached[0])
	}
	counts := map[string]int{}
	for _, r := range reached {
		counts[r]++
	}
	for name, want := range map[string]int{
		"button toggle": 11, "input query": 1, "g node workload near": 1, "summary Policy diff of TestCheckout": 1,
	} {
		if counts[name] != want {
			t.Errorf("%d stops at %s, want %d: %q", counts[name], name, want, reached)
		}
	}
}

// The first stop of the Tab key leads past graph and matrix.
func TestAccessible_SkipLink(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.press(kb.Tab)
	if got := eval[float64](w, `document.querySelector(".skip").getBoundingClientRect().width`); got < 50 {
		t.Errorf("the link is %v pixels wide when it has the focus", got)
	}
	w.press(kb.Enter, kb.Tab)
	if diff := cmp.Diff("input query", w.focused()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
