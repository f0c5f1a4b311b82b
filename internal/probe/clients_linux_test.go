package probe

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Clients of an engine are reported with their command line, whoever starts them, and when they end.
func TestClients_DescendantsAndOthers(t *testing.T) {
	r := newRig(t, Sizes{})
	self, err := os.Executable()
	check(t, err)
	docker, other := filepath.Join(t.TempDir(), "docker"), filepath.Join(t.TempDir(), "cat")
	check(t, os.Symlink(self, docker))
	check(t, os.Symlink(self, other))
	run := func(path string) (pid int) {
		cmd := exec.Command(path, "run", "--rm", "redis:7")
		cmd.Env = append(os.Environ(), "PROBE_TEST_ACTS=none")
		cmd.Run() // fails: the act is unknown
		return cmd.Process.Pid
	}
	for _, row := range []struct {
		reason    string
		unrelated bool
	}{{"a descendant", false}, {"another process", true}} {
		if row.unrelated {
			r.untrackDescendants()
		}
		r.clear()
		run(other)
		pid := run(docker)
		var ours []*ClientEvent // other programs of this machine may be clients too
		for _, e := range seen[*ClientEvent](r) {
			if e.PID == pid {
				ours = append(ours, e)
			}
		}
		if len(ours) != 2 || ours[0].Ended || !ours[1].Ended {
			t.Fatalf("%s: events %v, want a start and an end", row.reason, ours)
		}
		e := ours[0]
		command := []string{docker, "run", "--rm", "redis:7"}
		if e.Unrelated != row.unrelated || e.Name != "docker" || e.Cut || !slices.Equal(e.Command, command) {
			t.Errorf("%s: event %+v", row.reason, e)
		}
	}
	r.mustLoseNothing()
}
