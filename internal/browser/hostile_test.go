package browser

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// hostileNames would set the variable hacked if the page took one of them for anything but text.
var hostileNames = []string{
	`<script>hacked = 1</script>`,
	`</script><script>hacked = 2</script>`,
	`"><img src=x onerror="hacked = 3">`,
	`' onmouseover='hacked = 4' x='`,
	`javascript:hacked = 5`,
	`</style><style>body { display: none }`,
	`<!--<script>`,
	`]]></svg><svg onload="hacked = 6">`,
	`&lt;script&gt; &amp; &#60;`,
	"{{.}} ${hacked = 7} `hacked`",
	"right\u202eto left\u2066\u200f",
	"two\nlines\r\n\ttab \x00\x1b[31m \xff \u2028",
	`quotes " ' "" \" from:"a" -verdict:denied`,
	`__proto__`, `constructor`,
	`%s %d \u003c`,
	strings.Repeat("long", 300) + "<b>",
}

// hostile returns a run in which everything that has a name has one of those.
func hostile() page.Run {
	var run page.Run
	for i, name := range hostileNames {
		other := hostileNames[(i+1)%len(hostileNames)]
		f := dialed(name, outside(other, "203.0.113.7"), uint16(1000+i), i)
		f.Named = name
		f.Process = flow.Process{
			PID: 7, Name: name, Command: name, Executable: name, Parents: []string{name}, Container: name, Image: name,
			Exec: name, Test: name, Stack: []flow.Frame{{Function: module + "/" + name, File: name, Line: 1}},
		}
		run.Results = append(run.Results, recorded(name, name, []flow.Flow{f}, func(r *page.Result) {
			r.Package, r.Golden, r.Accept, r.Diff = name, name, name, name
			r.Unused, r.Unprotected, r.Unanswered = []string{name}, []string{name}, []string{name}
			r.Losses = []recording.Loss{{What: name, Count: 1, Remedy: name}}
			r.Notices = []recording.Notice{{Code: recording.NoticeCode(name), Text: name}}
			r.Binaries = []report.Binary{{Flow: f, Reason: name}}
			r.File.Check.Verdicts[0].Policy, r.File.Check.Verdicts[0].Reason = name, name
			if i%2 == 0 {
				r.Denied = []report.Denied{{Flow: f, Policy: name, Reason: name}}
			}
		}))
	}
	return run
}

// Whatever the reader does, names of others are text, letter by letter.
func TestHostileNames_StayText(t *testing.T) {
	w := open(t, rendered(t, hostile()))
	w.width(1920)
	known := []string{"a", "body", "b", "button", "img", "script", "style", "svg", "iframe", "link", "form"}
	before := make(map[string]int)
	for _, name := range known {
		before[name] = w.count(name)
	}
	if before["script"] != 2 || before["style"] != 1 || before["img"]+before["b"]+before["iframe"]+before["form"] != 0 {
		t.Errorf("the page has the elements %v", before)
	}
	for i, name := range hostileNames {
		clean := report.Line(name)
		w.do(filterBy(`from:"` + strings.ReplaceAll(clean, `"`, `""`) + `"`))
		flows := w.flows()
		if len(flows) != 1 {
			t.Errorf("%.60q: %d rows, want 1", name, len(flows))
			continue
		}
		want := []string{clean, report.Line(hostileNames[(i+1)%len(hostileNames)])}
		if diff := cmp.Diff(want, flows[0][:2]); diff != "" {
			t.Errorf("%.60q: ends (-want +got)\n%s", name, diff)
		}
		w.click("#rows .toggle")
		if got := w.count("#rows .evidence dd"); got < 6 {
			t.Errorf("%.60q: %d facts", name, got)
		}
		if got := w.count("#rows .evidence :is(img, script, style, b, svg)"); got != 0 {
			t.Errorf("%.60q: the evidence has %d elements of its own", name, got)
		}
	}
	for _, title := range []string{"#cells th[scope=row]", "#cells th[scope=col] span", ".results th[scope=row]"} {
		for i, got := range eval[[]string](w, `[...document.querySelectorAll(%s)].map(e => e.textContent)`, title) {
			if strings.ContainsAny(got, "\u202e\u2066\u200f\u2028\x1b\n") {
				t.Errorf("%s %d holds control characters: %q", title, i, got)
			}
		}
	}
	// Everything that can be clicked or focused.
	w.do(filterBy(""))
	eval[int](w, `[...document.querySelectorAll("button, summary")].filter(e => e.checkVisibility()).map(
		e => e.click()).length`)
	eval[int](w, `[...document.querySelectorAll("[tabindex]")].map(e => e.focus()).length`)
	if got := eval[string](w, `String(window.hacked)`); got != "undefined" {
		t.Errorf("the page ran what set hacked to %s", got)
	}
	if got := eval[string](w, `getComputedStyle(document.body).display`); got != "block" {
		t.Errorf("a style of others hides the page: display %q", got)
	}
}
