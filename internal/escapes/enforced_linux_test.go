package escapes

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// notYetRefused has the rows with a known wrong result of Enforce, and the defects. A row in it that passes fails the
// test. Then remove it.
var notYetRefused = map[string]string{}

func TestWaysOut_Enforced(t *testing.T) {
	r := newRig(t)
	r.enforced = true
	r.compareEnforced(t, false, r.recordAll(t, false, r.lab.Command))
}

func TestWaysOut_ContainersEnforced(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireDocker(t)
	r := newRig(t)
	r.joinDocker(t)
	r.enforced = true
	r.compareEnforced(t, true, r.recordAll(t, true, exec.CommandContext))
}

// compareEnforced compares the outcomes of recordings with Enforce with the rows.
func (r *rig) compareEnforced(t *testing.T, containers bool, all []outcome) {
	t.Helper()
	for _, g := range groups {
		for _, w := range g.ways {
			if g.container == containers {
				t.Run(w.name, func(t *testing.T) { r.compareOneEnforced(t, w, all) })
			}
		}
	}
}

func (r *rig) compareOneEnforced(t *testing.T, w way, all []outcome) {
	t.Helper()
	var wrong []string
	for _, o := range all {
		switch {
		case o.Way != w.name:
		case o.None != "":
			t.Skip(o.None)
		default:
			for _, difference := range w.enforcedDifferences(o, r.sent(o)) {
				wrong = append(wrong, fmt.Sprintf("%s: %s", o.mode(), difference))
			}
		}
	}
	reason, known := notYetRefused[w.name]
	switch {
	case known && len(wrong) == 0:
		t.Errorf("its result is right: remove it from notYetRefused (%s)", reason)
	case known:
		t.Logf("not yet (%s): %s", reason, strings.Join(wrong, "\n"))
	case len(wrong) > 0:
		t.Error(strings.Join(wrong, "\n"))
	}
}

// sent reports whether a packet of the way arrived outside.
func (r *rig) sent(o outcome) bool {
	return r.packets.arrived(o.Begin, o.End, findWay(o.Way).destinations()...)
}

// mode says when the early part of the way ran.
func (o outcome) mode() string {
	switch {
	case findWay(o.Way).early == nil:
		return "all in the recording"
	case o.Early:
		return "begun before all recordings"
	}
	return "begun in an earlier recording"
}

// enforcedDifferences returns the differences between an outcome with Enforce and the row's expectation. sent says that
// a packet of the way arrived outside.
func (w way) enforcedDifferences(o outcome, sent bool) []string {
	if w.passes != "" || w.wantOf(o) == "" {
		return w.passedDifferences(o, sent)
	}
	return w.refusedDifferences(o, sent)
}

// passedDifferences is enforcedDifferences for a way that Enforce does not refuse.
func (w way) passedDifferences(o outcome, sent bool) (wrong []string) {
	if got, want := strings.Join(o.Flows, ", "), w.wantOf(o); got != want {
		wrong = append(wrong, fmt.Sprintf("got %q, want %q", got, want))
	}
	if o.Error != "" {
		wrong = append(wrong, "the way failed: "+o.Error)
	}
	if some := slices.Concat(o.Refused, o.PartlyRefused); len(some) > 0 {
		wrong = append(wrong, fmt.Sprintf("%q is refused", some))
	}
	if !w.inside && !sent {
		wrong = append(wrong, "no packet arrived outside")
	}
	if len(o.Flows) > 0 && !o.Failed {
		wrong = append(wrong, "the test passes")
	}
	return wrong
}

// refusedDifferences is enforcedDifferences for a way that Enforce refuses. A way ends at the first refusal, so it need
// not get to all of its flows.
func (w way) refusedDifferences(o outcome, sent bool) (wrong []string) {
	if sent {
		wrong = append(wrong, "a packet arrived outside")
	}
	undeclared := slices.DeleteFunc(slices.Clone(o.Flows), func(f string) bool { return w.allowed && f == viaTCP })
	if len(undeclared) == 0 || !slices.Equal(undeclared, o.Refused) {
		wrong = append(wrong, fmt.Sprintf("got %q, and refused are %q", o.Flows, o.Refused))
	}
	for _, target := range o.Flows {
		if !slices.Contains(strings.Split(w.want, ", "), target) {
			wrong = append(wrong, fmt.Sprintf("got %q, want %q or a part of it", target, w.want))
		}
	}
	if !w.silent && !strings.Contains(o.Error, "operation not permitted") {
		wrong = append(wrong, fmt.Sprintf("the way ends with %q, want \"operation not permitted\"", o.Error))
	}
	if !o.Failed || !strings.Contains(o.text, "refused in the kernel") {
		wrong = append(wrong, "want the test to report a refusal:\n"+o.text)
	}
	return wrong
}
