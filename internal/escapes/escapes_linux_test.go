package escapes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestWaysOut(t *testing.T) {
	r := newRig(t)
	all := r.recordAll(t, false, r.lab.Command)
	for _, g := range groups {
		if !g.container {
			t.Run(g.name, func(t *testing.T) {
				testenv.Recorded(t, g.capability)
				r.compare(t, g, all)
			})
		}
	}
}

// recordAll records all ways without containers, or all with them, in three processes: the ways without an early part;
// the others with their early part before the first recording of the process; and these again with their early part in
// an earlier recording.
func (r *rig) recordAll(t *testing.T, containers bool, command commander) (all []outcome) {
	t.Helper()
	var during, early []string
	for _, g := range groups {
		for _, w := range g.ways {
			switch {
			case g.container != containers:
			case w.early == nil:
				during = append(during, w.name)
			default:
				early = append(early, w.name)
			}
		}
	}
	all = append(all, r.record(t, command, during)...)
	all = append(all, r.record(t, command, early)...)
	return append(all, r.record(t, command, early, earlierVariable+"=1")...)
}

// compare compares the outcomes of a group with its rows.
func (r *rig) compare(t *testing.T, g group, all []outcome) {
	t.Helper()
	for _, w := range g.ways {
		var wrong, none []string
		for _, o := range all {
			switch {
			case o.Way != w.name:
			case o.None != "":
				none = append(none, o.None)
			case o.Error != "":
				t.Errorf("%s: the way failed: %s", w.name, o.Error)
			default:
				wrong = append(wrong, w.differences(o)...)
				if !w.inside && !r.sent(o) {
					t.Errorf("%s: no packet arrived outside, so the row proves nothing", w.name)
				}
			}
		}
		if len(none) == 0 && w.sendsDatagram() && !r.arrived(w) {
			t.Errorf("%s: no datagram arrived at %s, so the row proves nothing", w.name, hostOf(w.name).v4)
		}
		switch {
		case len(none) > 0 && w.capability != "":
			testenv.Refused(t, w.capability, none[0])
			continue
		case len(none) > 0:
			t.Errorf("%s: not on this kernel: %s", w.name, none[0])
			continue
		case w.capability != "":
			testenv.Recorded(t, w.capability)
		}
		reason, known := notYet[w.name]
		switch {
		case known && len(wrong) == 0:
			t.Errorf("%s: its result is right: remove it from notYet (%s)", w.name, reason)
		case known:
			t.Logf("%s: not yet (%s): %s", w.name, reason, strings.Join(wrong, "\n"))
		case len(wrong) > 0:
			t.Errorf("%s: %s", w.name, strings.Join(slices.Compact(wrong), "\n"))
		}
	}
}

// sendsDatagram reports whether a datagram has to arrive at port 8125/UDP of the row's host.
func (w way) sendsDatagram() bool {
	return w.want == "" && !w.inside || strings.Contains(w.want, "host:8125/UDP") && !w.partial
}

// wantOf returns the flows that an outcome must have.
func (w way) wantOf(o outcome) string {
	if w.unseenBefore != "" && o.Early || w.endedFailure != "" && !o.Early {
		return ""
	}
	return w.want
}

// differences returns the differences between an outcome and the row's expectation.
func (w way) differences(o outcome) (wrong []string) {
	want := w.wantOf(o)
	says := w.failure
	if w.early != nil && !o.Early {
		says = w.endedFailure
	}
	if got := strings.Join(o.Flows, ", "); got != want {
		wrong = append(wrong, fmt.Sprintf("got %q, want %q", got, want))
	}
	switch fails := says != ""; {
	case fails && !o.Failed:
		wrong = append(wrong, fmt.Sprintf("the test passes, want it to fail with %q", says))
	case fails && !strings.Contains(o.text, says):
		wrong = append(wrong, fmt.Sprintf("want the test to fail with %q:\n%s", says, o.text))
	case !fails && o.Failed:
		wrong = append(wrong, "the test fails:\n"+o.text)
	}
	return wrong
}
