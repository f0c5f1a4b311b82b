package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The main thread runs nothing but main: /proc/self shows it, and a test may change the namespaces of its own thread.
func init() { runtime.LockOSThread() }

// TestMain lets the test binary run as its own child process: one that opens a connection, or runs acts.
func TestMain(m *testing.M) {
	if acts := os.Getenv("PROBE_TEST_ACTS"); acts != "" {
		os.Exit(act(strings.Split(acts, ",")))
	}
	if to := os.Getenv("PROBE_TEST_DIAL"); to != "" {
		if c, err := net.Dial("tcp", to); err == nil {
			c.Close()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is a copy of this process that dials an address and exits.
func child(t *testing.T, to string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "PROBE_TEST_DIAL="+to)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestScope_ChildProcess(t *testing.T) {
	testenv.Recorded(t, "child processes are in scope from their start")
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	cmd := child(t, to.String())
	r.clear()
	check(t, cmd.Run())
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	if e := seen[*FlowEvent](r)[0]; e.PID != cmd.Process.Pid {
		t.Errorf("opened by process %d, want the child %d", e.PID, cmd.Process.Pid)
	}
}

func TestExecutables_ProcessHasExited(t *testing.T) {
	r := newRig(t, Sizes{})
	const capability = "the executable's name, after the process has exited"
	layout, err := taskLayout()
	check(t, err)
	_, noBTF := os.Stat("/sys/kernel/btf/vmlinux")
	if noBTF == nil && layout.Name == 0 {
		t.Fatalf("no layout from this kernel's BTF: %+v", layout)
	}
	to := listen(t, "tcp4", "127.0.0.1:0")
	binary, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	name := "an-executable-whose-name-is-longer-than-a-thread-can-have"
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, binary, 0o755))
	cmd := child(t, to.String())
	cmd.Path = path
	check(t, cmd.Run())
	if noBTF == nil {
		testenv.Recorded(t, capability)
	} else {
		testenv.FallsBack(t, capability, "name from /proc, after the event")
		name = ""
	}
	events := seen[*FlowEvent](r)
	if len(events) != 1 || events[0].Executable != name {
		t.Errorf("got %+v, want one flow of %q", events, name)
	}
}

func TestScope_NestedCgroup(t *testing.T) {
	testenv.Recorded(t, "nested cgroups are in scope")
	r := newRig(t, Sizes{})
	nested := filepath.Join(r.leaf.Path, "nested")
	check(t, os.Mkdir(nested, 0o755))
	to := listen(t, "tcp4", "127.0.0.1:0")
	r.clear()
	runIn(t, nested, child(t, to.String()))
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	if e := seen[*FlowEvent](r)[0]; e.Cgroup != r.leaf.ID {
		t.Errorf("the flow belongs to cgroup %d, want the scope %d", e.Cgroup, r.leaf.ID)
	}
}

func TestScope_OtherCgroup(t *testing.T) {
	testenv.Recorded(t, "other cgroups are out of scope")
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	outside := filepath.Join(filepath.Dir(r.leaf.Path), fmt.Sprintf("probe-test-%d", os.Getpid()))
	check(t, os.Mkdir(outside, 0o755))
	defer func() { check(t, os.Remove(outside)) }()
	to := listen(t, "tcp4", "127.0.0.1:0")
	r.clear()
	runIn(t, outside, child(t, to.String()))
	if got := r.flows(); len(got) > 0 {
		t.Errorf("flows %v of a process outside", got)
	}
}

func TestScope_TwoProbes(t *testing.T) {
	first, second := newRig(t, Sizes{}), newRig(t, Sizes{}) // the second leaf is nested in the first
	to := listen(t, "tcp4", "127.0.0.1:0")
	first.clear()
	second.clear()
	c, err := net.Dial("tcp", to.String())
	check(t, err)
	c.Close()
	for _, r := range []*rig{first, second} {
		if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
			t.Errorf("flows (-want +got):\n%s", diff)
		}
	}
}

func TestCheck_HooksNotFiring(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "hooks that do not fire are detected")
	tree, err := cgroup.FindTree()
	check(t, err)
	leaf, err := cgroup.NewLeaf(tree)
	check(t, err)
	defer leaf.Leave()
	p, err := Open(leaf.Path, Sizes{}, Handler{Handle: func([]Event) {}}) // this process is not in it
	check(t, err)
	defer p.Close()
	check(t, p.Watch(leaf.ID))
	if _, err := p.Check(leaf.ID); !errors.Is(err, ErrNotFiring) {
		t.Errorf("Check returns %v, want ErrNotFiring", err)
	}
}

// runIn starts a command in a cgroup.
func runIn(t *testing.T, dir string, cmd *exec.Cmd) {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil { // a guest without a shell: this process moves there and back instead
		leaf := currentCgroup(t)
		check(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", os.Getpid()), 0))
		defer func() {
			check(t, os.WriteFile(filepath.Join(leaf, "cgroup.procs"), fmt.Appendf(nil, "%d", os.Getpid()), 0))
		}()
		check(t, cmd.Run())
		return
	}
	cmd.Args = []string{path, "-c", `echo $$ > "$0"/cgroup.procs && exec "$1"`, dir, cmd.Path}
	cmd.Path = path
	check(t, cmd.Run())
}

func currentCgroup(t *testing.T) string {
	t.Helper()
	tree, err := cgroup.FindTree()
	check(t, err)
	dir, err := tree.Current()
	check(t, err)
	return dir
}
