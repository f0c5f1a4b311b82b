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

// A cgroup that is older than the recording is recorded from the moment that a task comes into it, and each of these tasks is told.
func TestCgroupEntry_TracksOlderCgroup(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	check(t, err)
	current, err := tree.Current()
	check(t, err)
	older := func(name string) group {
		return newGroup(t, filepath.Join(current, fmt.Sprintf("probe-test-older-%d-%s", os.Getpid(), name)))
	}
	move := func(g group, to string) {
		cmd, done := g.command([]string{"enter " + g.dir, "tcp " + to})
		defer done()
		cmd.SysProcAttr = nil
		check(t, cmd.Run())
	}
	for _, row := range []struct {
		reason  string
		enter   func(g group, to string)
		watched bool
	}{
		{"it is moved there", move, true},
		{"it is born there", func(g group, to string) { g.run("tcp " + to) }, true},
		{"it is moved to one that is not watched", move, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			g, stranger := older("a"), older("b")
			before, after, entering := listen(t, "tcp4", "127.0.0.1:0").String(), listen(t, "tcp4", "127.0.0.1:0").String(), listen(t, "tcp4", "127.0.0.1:0").String()
			main := g.start("wait", "tcp "+before, "wait", "tcp "+after)
			r := newTrackingRig(t, Sizes{})
			if (r.EntriesUnreported() == "") != (r.Unnamed() == "") {
				t.Errorf("executables are not named because of %q, who comes in is not told because of %q", r.Unnamed(), r.EntriesUnreported())
			}
			watched := row.watched && r.EntriesUnreported() == ""
			check(t, r.TrackEntered(stranger.id))
			if watched {
				check(t, r.TrackEntered(g.id))
			}
			main()
			if diff := cmp.Diff([]string(nil), r.flowsOf(g.id)); diff != "" {
				t.Errorf("before anybody came (-want +got):\n%s", diff)
			}
			row.enter(g, entering)
			row.enter(g, entering)
			main()
			g.remove()
			stranger.remove()
			var want []string
			var tasks []uint64
			if watched {
				want = []string{"TCP " + after, "TCP " + entering}
				slices.Sort(want)
				tasks = []uint64{g.id, g.id}
			}
			if diff := cmp.Diff(want, r.flowsOf(g.id)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if diff := cmp.Diff(tasks, r.entered); diff != "" {
				t.Errorf("tasks that came in, by cgroup (-want +got):\n%s", diff)
			}
		})
	}
}
