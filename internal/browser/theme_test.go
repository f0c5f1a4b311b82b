package browser

import (
	_ "embed"
	"fmt"
	"math"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed colors.js
var colorsScript string

// colored is a text or a line of the page with its colors.
type colored struct {
	What       string     `json:"what"`
	Kind       string     `json:"kind"` // "text" or "line"
	Color      [3]float64 `json:"color"`
	Background [3]float64 `json:"background"`
}

// luminance returns the relative luminance of a color, as the Web Content Accessibility Guidelines define it.
func luminance(color [3]float64) float64 {
	linear := func(v float64) float64 {
		v /= 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(color[0]) + 0.7152*linear(color[1]) + 0.0722*linear(color[2])
}

// contrast returns the ratio of contrast of two colors: from 1 to 21.
func contrast(a, b [3]float64) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrast_KnownRatios(t *testing.T) {
	for _, row := range []struct {
		a, b [3]float64
		want string
	}{
		{[3]float64{0, 0, 0}, [3]float64{255, 255, 255}, "21.00"},
		{[3]float64{119, 119, 119}, [3]float64{255, 255, 255}, "4.48"}, // #777, known as just too light
		{[3]float64{255, 0, 0}, [3]float64{255, 0, 0}, "1.00"},
	} {
		if got := fmt.Sprintf("%.2f", contrast(row.a, row.b)); got != row.want {
			t.Errorf("%v on %v: %s, want %s", row.a, row.b, got, row.want)
		}
	}
}

// minima are the ratios of contrast of level AA, for normal texts and for graphics.
var minima = map[string]float64{"text": 4.5, "line": 3}

// The page follows the color scheme of the system. All texts and lines have enough contrast in both.
func TestTheme_Contrast(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".toggle, .file details summary").forEach(
		e => e.click())`))
	for _, heat := range []string{"h1", "h2", "h3", "h4", "h5"} {
		if w.count("#cells ."+heat) == 0 {
			t.Errorf("no cell of the matrix has the shade %s", heat)
		}
	}
	backgrounds := map[string]bool{}
	for _, output := range [][2]string{{"screen", "light"}, {"screen", "dark"}, {"print", "light"}, {"print", "dark"}} {
		for _, width := range []int64{1280, 390} {
			w.media(output[0], output[1])
			w.width(width)
			name := fmt.Sprintf("%s, %s, %d pixels", output[0], output[1], width)
			found := result(w, chromedp.Evaluate[[]colored](colorsScript))
			if len(found) < 150 {
				t.Errorf("%s: %d colors, want all of the page", name, len(found))
			}
			failed := map[string]bool{}
			for _, c := range found {
				ratio := contrast(c.Color, c.Background)
				text := fmt.Sprintf("%s: %s has contrast %.2f (%v on %v)", name, c.What, ratio, c.Color, c.Background)
				if ratio < minima[c.Kind] && !failed[text] {
					failed[text] = true
					t.Error(text)
				}
			}
			isLight := luminance(eval[[3]float64](w, `getComputedStyle(document.body).backgroundColor.match(
				/\d+/g).map(Number)`)) > 0.5
			backgrounds[fmt.Sprint(output, isLight)] = true
		}
	}
	for _, want := range []string{
		"[screen light] true", "[screen dark] false", "[print light] true", "[print dark] true",
	} {
		if !backgrounds[want] {
			t.Errorf("the background is not as light or dark as the output wants: %v", backgrounds)
		}
	}
}

// A text that is too faint is found.
func TestTheme_FindsFaintText(t *testing.T) {
	w := open(t, rendered(t, shop()))
	w.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("h1").style.opacity = 0.4`))
	for _, c := range result(w, chromedp.Evaluate[[]colored](colorsScript)) {
		if c.What == "h1. Network flows" && contrast(c.Color, c.Background) < 4.5 {
			return
		}
	}
	t.Error("a heading of opacity 0.4 has enough contrast")
}
