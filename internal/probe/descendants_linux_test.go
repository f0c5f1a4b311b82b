package probe

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// mustTrackDescendants fails the test on a kernel without BTF. All kernels under test have it.
func (r *rig) mustTrackDescendants() {
	r.t.Helper()
	if !r.TracksDescendants() {
		r.t.Fatalf("descendants are not tracked: %s", r.untracked)
	}
}

// move starts a child in this process's cgroup, and moves it into the group before its acts.
func (g group) move(acts ...string) {
	g.t.Helper()
	cmd := descendant(append([]string{"wait"}, acts...)...)
	in, err := cmd.StdinPipe()
	check(g.t, err)
	out, err := cmd.StdoutPipe()
	check(g.t, err)
	check(g.t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	check(g.t, err)
	check(g.t, os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), fmt.Append(nil, cmd.Process.Pid), 0))
	_, err = in.Write([]byte("\n"))
	check(g.t, err)
	check(g.t, cmd.Wait())
}

func TestDescendants_InScopeInAnyCgroup(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "descendants that have left the test's cgroup are in scope")
	older := newGroup(t, filepath.Join(currentCgroup(t), fmt.Sprintf("probe-test-%d-older", os.Getpid())))
	r := newRig(t, Sizes{})
	r.mustTrackDescendants()
	check(t, r.EndScan())
	check(t, r.TrackNewCgroups(r.leaf.ID))
	tcp, udp := listen(t, "tcp4", "127.0.0.1:0").String(), silent(t, "udp4", "127.0.0.1:0").String()
	rejected := r.sibling("rejected")
	check(t, r.Ignore(rejected.id))
	for _, where := range []struct {
		reason string
		group
	}{
		{"older than the leaf", older},
		{"newer, next to the leaf", r.sibling("newer")},
		{"newer, ignored as unrelated", rejected},
		{"nested in the leaf", newGroup(t, filepath.Join(r.leaf.Path, "nested"))},
	} {
		for _, row := range []struct{ act, flow string }{
			{"tcp " + tcp, "TCP " + tcp},
			{"udp " + udp, "UDP " + udp},
			{"udp-connected " + udp, "UDP " + udp},
			{"ping 127.0.0.77", "ICMP 127.0.0.77:8"},
			{"spawn tcp " + tcp, "TCP " + tcp},
			{"spawn ping 127.0.0.77", "ICMP 127.0.0.77:8"},
		} {
			for way, run := range map[string]func(...string){"started there": where.run, "moved there": where.move} {
				t.Run(where.reason+", "+way+", "+row.act, func(t *testing.T) {
					_, err := r.NextGeneration()
					check(t, err)
					r.clear()
					run(row.act)
					if diff := cmp.Diff([]string{row.flow}, r.flowsOf(r.leaf.ID)); diff != "" {
						t.Errorf("flows (-want +got):\n%s", diff)
					}
					if names := r.namesOf(where.id); names != nil {
						t.Errorf("its cgroup was tracked: %v", names)
					}
				})
			}
		}
	}
	r.mustLoseNothing()
}

// The children of a test's descendant belong to the test's recording, in any cgroup.
func TestDescendants_RecordingOfStarter(t *testing.T) {
	r := newAttributionRig(t)
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	id := goroutine.NewID()
	r.runLabelled(id, func() { r.sibling("elsewhere").run("spawn tcp " + to) })
	r.mustBeAttributed("TCP "+to, id)
}

func TestDescendants_BindInOtherCgroup(t *testing.T) {
	testenv.RequireRoot(t)
	r := newRig(t, Sizes{})
	r.mustTrackDescendants()
	r.sibling("server").run("listen 127.0.0.1:0")
	if !slices.ContainsFunc(seen[*BindEvent](r), func(e *BindEvent) bool {
		return e.Cgroup == r.leaf.ID && e.Addr.IsLoopback() && e.PID != os.Getpid()
	}) {
		t.Error("its bind was not reported")
	}
}

// A descendant may be older than the recording: user space adds it. Until then, what it starts is found by its parents.
func TestDescendants_OlderThanRecording(t *testing.T) {
	testenv.RequireRoot(t)
	elsewhere := newGroup(t, filepath.Join(currentCgroup(t), fmt.Sprintf("probe-test-%d-elsewhere", os.Getpid())))
	tcp, other := listen(t, "tcp4", "127.0.0.1:0").String(), listen(t, "tcp4", "127.0.0.1:0").String()
	goOn := elsewhere.start("wait", "spawn tcp "+other, "wait", "tcp "+tcp, "wait", "spawn tcp "+tcp)
	r := newRig(t, Sizes{})
	r.mustTrackDescendants()
	goOn() // its child has this process as its grandparent
	if diff := cmp.Diff([]string{"TCP " + other}, r.flowsOf(r.leaf.ID)); diff != "" {
		t.Errorf("flows of a child (-want +got):\n%s", diff)
	}
	r.clear()
	check(t, r.EndScan())
	goOn()
	if got := r.flowsOf(r.leaf.ID); got != nil {
		t.Errorf("flows of a descendant that was not added: %v", got)
	}
	known, err := r.Descendants()
	check(t, err)
	if len(known) != 0 {
		t.Errorf("descendants are %v", known)
	}
	for _, pid := range processesIn(t, elsewhere) {
		check(t, r.AddDescendant(pid, 0))
	}
	_, err = r.NextGeneration()
	check(t, err)
	goOn()
	if diff := cmp.Diff([]string{"TCP " + tcp}, r.flowsOf(r.leaf.ID)); diff != "" {
		t.Errorf("flows once it is added (-want +got):\n%s", diff)
	}
	check(t, r.AddDescendant(1<<22+1, 0)) // no process has this id
	if known, err = r.Descendants(); err != nil || known[1<<22+1] != 0 || len(known) > 0 {
		t.Errorf("descendants are %v, %v", known, err)
	}
}

func processesIn(t *testing.T, g group) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	check(t, err)
	for pid := 0; len(text) > 0; {
		n, err := fmt.Sscanf(string(text), "%d\n", &pid)
		if n != 1 {
			t.Fatal(err)
		}
		pids, text = append(pids, pid), text[len(fmt.Sprintln(pid)):]
	}
	return pids
}
