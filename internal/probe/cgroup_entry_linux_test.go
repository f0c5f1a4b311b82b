package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// An older cgroup is recorded from the moment that a task enters it. Each such task is reported, with the cgroup of the
// task that moved it.
func TestCgroupEntry_TracksOlderCgroup(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	check(t, err)
	current, err := tree.Current()
	check(t, err)
	older := func(name string) group {
		return newGroup(t, filepath.Join(current, fmt.Sprintf("probe-test-older-%d-%s", os.Getpid(), name)))
	}
	move := func(g group, to string) { g.move("tcp " + to) }
	moveItself := func(g group, to string) {
		cmd, done := g.command([]string{"enter " + g.dir, "tcp " + to})
		defer done()
		cmd.SysProcAttr = nil
		check(t, cmd.Run())
	}
	for _, row := range []struct {
		reason          string
		enter           func(g group, to string)
		watched, itself bool
	}{
		{"moved there", move, true, false},
		{"started there", func(g group, to string) { g.run("tcp " + to) }, true, false},
		{"moves itself there", moveItself, true, true},
		{"moved to a cgroup without TrackEntered", move, false, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			g, other := older("a"), older("b")
			address := func() string { return listen(t, "tcp4", "127.0.0.1:0").String() }
			before, after, entering := address(), address(), address()
			main := g.start("wait", "tcp "+before, "wait", "tcp "+after)
			r := newTrackingRig(t, Sizes{})
			if (r.EntriesUnreported() == "") != (r.Unnamed() == "") {
				t.Errorf("executables are not named because of %q, entries are not reported because of %q",
					r.Unnamed(), r.EntriesUnreported())
			}
			watched := row.watched && r.EntriesUnreported() == ""
			check(t, r.TrackEntered(other.id))
			if watched {
				check(t, r.TrackEntered(g.id))
			}
			main()
			if diff := cmp.Diff([]string(nil), r.flowsOf(g.id)); diff != "" {
				t.Errorf("before any entry (-want +got):\n%s", diff)
			}
			row.enter(g, entering)
			row.enter(g, entering)
			main()
			g.remove()
			other.remove()
			var want []string
			var tasks []entry
			if watched {
				want = []string{"TCP " + after, "TCP " + entering}
				slices.Sort(want)
				moved := entry{g.id, r.leaf.ID}
				if row.itself {
					moved.By = g.id
				}
				tasks = []entry{moved, moved}
			}
			// A cgroup that another program creates meanwhile makes a known flow new: it is reported once more.
			if diff := cmp.Diff(want, slices.Compact(r.flowsOf(g.id))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if diff := cmp.Diff(tasks, r.entered); diff != "" {
				t.Errorf("entries, by cgroup (-want +got):\n%s", diff)
			}
		})
	}
}
