package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

const cells = "#cells button"

func TestMatrix_SelectsFlows(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.click(cells + `[title^="checkout to api.stripe.com: "]`)
	if diff := cmp.Diff([]string{"checkout > api.stripe.com:443"}, w.pairs()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := w.focused(); got != "h2 flows" {
		t.Errorf("the focus is on %q, want the heading of the flows", got)
	}
	if top := eval[float64](w, `document.getElementById("table").getBoundingClientRect().top`); top < 0 || top > 900 {
		t.Errorf("the table is %v pixels below the top of the window", top)
	}
}

// The Tab key reaches the matrix once; the arrow keys lead from cell to cell, over empty ones.
func TestMatrix_Keyboard(t *testing.T) {
	w := open(t, rendered(t, shop()))
	if got := w.count(cells + `[tabindex="0"]`); got != 1 {
		t.Errorf("%d cells in the order of the Tab key, want 1", got)
	}
	w.do(chromedp.Focus(chromedp.CSS(cells + `[tabindex="0"]`)))
	for _, row := range []struct{ reason, key, want string }{
		{"nothing to the left", kb.ArrowLeft, "cart to redis"},
		{"nothing above", kb.ArrowUp, "cart to redis"},
		{"nothing to the right", kb.ArrowRight, "cart to redis"},
		{"no cell below", kb.ArrowDown, "cart to redis"},
	} {
		w.press(row.key)
		if got := w.cell(); got != row.want {
			t.Errorf("%s: at %q, want %q", row.reason, got, row.want)
		}
	}
	w.do(chromedp.Focus(chromedp.CSS(cells + `[title^="checkout to cart: "]`)))
	for _, row := range []struct{ reason, key, want string }{
		{"to the right, over two empty cells", kb.ArrowRight, "checkout to currency"},
		{"to the right", kb.ArrowRight, "checkout to payment"},
		{"to the left", kb.ArrowLeft, "checkout to currency"},
		{"back", kb.ArrowLeft, "checkout to cart"},
		{"down", kb.ArrowDown, "frontend to cart"},
		{"up", kb.ArrowUp, "checkout to cart"},
	} {
		w.press(row.key)
		if got := w.cell(); got != row.want {
			t.Errorf("%s: at %q, want %q", row.reason, got, row.want)
		}
		if got := w.count(cells + `[tabindex="0"]`); got != 1 {
			t.Errorf("%s: %d cells in the order of the Tab key, want 1", row.reason, got)
		}
	}
	w.press(kb.Enter)
	if diff := cmp.Diff([]string{"checkout > cart:7070"}, w.pairs()); diff != "" {
		t.Errorf("Enter (-want +got)\n%s", diff)
	}
}

// cell returns the ends of the cell that has the focus.
func (w *window) cell() string {
	w.t.Helper()
	return eval[string](w, `document.activeElement.getAttribute("aria-label").split(":")[0]`)
}
