package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestHelper_RecordsAsTheCaller(t *testing.T) {
	m := newMember(t)
	out, err := m.run(t, []string{childVariable + "=1"}, m.binary).CombinedOutput()
	if want := fmt.Sprintf("records: true uid: %d\n", m.UID); err != nil || string(out) != want {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
	script := `grep -E '^(Cap|Uid|Gid|Groups)' /proc/self/status
touch "$HOME/file"; stat -c %u "$HOME/file"; pwd; echo "$GREETING"`
	out, err = m.run(t, []string{"GREETING=good morning"}, "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const kept = "000000c000001000" // CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN
	id := func(n uint32) string { return strings.Repeat("\t"+strconv.Itoa(int(n)), 4) }
	want := "Uid:" + id(m.UID) + "\nGid:" + id(m.GID) + "\nGroups:\t" + fmt.Sprint(m.Groups[0]) + " \n" +
		"CapInh:\t" + kept + "\nCapPrm:\t" + kept + "\nCapEff:\t" + kept + "\nCapAmb:\t" + kept + "\n" +
		fmt.Sprint(m.UID) + "\n" + m.Home + "\ngood morning\n"
	if diff := cmp.Diff(want, withoutLine(string(out), "CapBnd")); diff != "" {
		t.Errorf("the command of the helper has (-want +got):\n%s", diff)
	}
}

func withoutLine(text, prefix string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestHelper_InParallel(t *testing.T) {
	m := newMember(t)
	const runs = 50
	var group sync.WaitGroup
	for n := range runs {
		cmd := m.run(t, []string{childVariable + "=1"}, m.binary)
		if n%2 == 1 {
			cmd = m.run(t, nil, "sh", "-c", "cat /proc/self/cgroup >/dev/null; exit "+strconv.Itoa(n))
		}
		group.Go(func() {
			out, err := cmd.CombinedOutput()
			if n%2 == 1 {
				if cmd.ProcessState.ExitCode() != n {
					t.Errorf("run %d: %v\n%s", n, err, out)
				}
			} else if want := fmt.Sprintf("records: true uid: %d\n", m.UID); err != nil || string(out) != want {
				t.Errorf("run %d: got %q (%v)", n, out, err)
			}
		})
	}
	group.Wait()
	m.mustBeEmpty(t)
}

func TestHelper_Signals(t *testing.T) {
	testenv.DefaultSignals(t, syscall.SIGINT, syscall.SIGQUIT)
	m := newMember(t)
	const script = `trap 'echo got INT; exit 7' INT; trap 'echo got QUIT; exit 8' QUIT; echo ready
while :; do sleep 0.1; done`
	for _, c := range []struct {
		signal syscall.Signal
		want   string
	}{
		{syscall.SIGINT, "got INT, status 7"},
		{syscall.SIGQUIT, "got QUIT, status 8"},
		{syscall.SIGTERM, "signal terminated"},
		{syscall.SIGKILL, "signal killed"},
	} {
		cmd := m.run(t, nil, "sh", "-c", script)
		out := &syncBuffer{}
		cmd.Stdout, cmd.Stderr = out, out
		cmd.WaitDelay = time.Minute
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !within(time.Minute, func() bool { return strings.Contains(out.String(), "ready\n") }) {
			t.Fatalf("%v: the command does not start: %s", c.signal, out)
		}
		if err := cmd.Process.Signal(c.signal); err != nil {
			t.Error(err)
		}
		err := cmd.Wait()
		got := strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(out.String(), "ready\n"))+", ", ", ")
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			got += "signal " + status.Signal().String()
		} else {
			got += fmt.Sprintf("status %d", status.ExitStatus())
		}
		if got != c.want {
			t.Errorf("%v: got %q (%v), want %q", c.signal, got, err, c.want)
		}
		m.mustBeEmpty(t)
	}
}

func TestHelper_Streams(t *testing.T) {
	m := newMember(t)
	cmd := m.run(t, nil, "sh", "-c", "cat; echo problem >&2; exit 3")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("from stdin"), &out, &errs
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 3 || out.String() != "from stdin" || errs.String() != "problem\n" {
		t.Errorf("got %v, %q, %q", err, out.String(), errs.String())
	}
}

func TestHelper_FilesOfTheTestBelongToTheCaller(t *testing.T) {
	m := newMember(t)
	log := filepath.Join(m.Home, "log.txt")
	profile := filepath.Join(m.Home, "cpu.out")
	cmd := m.run(t, nil, m.binary, "-test.run=^TestChange_NoProgram$", "-test.testlogfile="+log,
		"-test.cpuprofile="+profile)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "PASS\n" {
		t.Errorf("got %q (%v)", out, err)
	}
	for _, path := range []string{log, profile} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if uid := info.Sys().(*syscall.Stat_t).Uid; uid != m.UID {
			t.Errorf("%s belongs to user %d", path, uid)
		}
	}
}

// The launcher in a container makes directories that its client names. A member of the group must not be able to have
// the helper do that: it has CAP_DAC_OVERRIDE.
func TestHelper_RefusesTheContainersPart(t *testing.T) {
	m := newMember(t)
	dir := t.TempDir() // root's
	made := filepath.Join(dir, "made")
	start := fmt.Sprintf(`{"start":{"command":["/bin/true"],"dir":"/","own":[%q]}}`, made)
	for _, args := range [][]string{{"mounted"}, {"join", "1", "boot", "0", "3", "/bin/true"}} {
		cmd := m.runHelper(t, nil, args...)
		cmd.Stdin = strings.NewReader(start + "\n")
		out, err := cmd.CombinedOutput()
		want := "netzero: " + args[0] + ": only root in a container runs the command of a client\n"
		if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != 1 || string(out) != want {
			t.Errorf("%v: got %q (%v), want %q", args, out, err, want)
		}
	}
	if _, err := os.Stat(made); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the helper made %s: %v", made, err)
	}
}

func TestHelper_NoCommand(t *testing.T) {
	m := newMember(t)
	for _, c := range []struct {
		reason string
		args   []string
		want   string
	}{
		{"no command", nil, "netzero: launch: no command\n"},
		{"a command that does not exist", []string{"--", "/no/such"},
			"netzero: launch /no/such: exec /no/such: no such file or directory\n"},
		{"another user", []string{"-uid", "0", "--", "/bin/true"},
			"netzero: launch /bin/true: only root may run a command as another process or user\n"},
		{"another process's rights", []string{"-caller", "1", "--", "/bin/true"},
			"netzero: launch /bin/true: only root may run a command as another process or user\n"},
	} {
		cmd := m.runHelper(t, nil, c.args...)
		out, err := cmd.CombinedOutput()
		if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != 1 || string(out) != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.reason, out, err, c.want)
		}
		m.mustBeEmpty(t)
	}
}

// syncBuffer is a buffer that is read while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
