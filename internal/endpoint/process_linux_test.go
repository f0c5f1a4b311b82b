package endpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestProcessIsNamedByItsExecutable(t *testing.T) {
	testenv.Recorded(t, "the executable's name from /proc, to fall back to")
	const name = `S 1 (x) y's` // in /proc/<pid>/stat, this looks like fields
	exe := copyBinary(t, name)
	c, err := tryStart(t, exe, func(*exec.Cmd) {}, "wait", "a b", "c")
	if err != nil {
		t.Fatal(err)
	}
	want := flow.Process{PID: c.pid, Name: name, Command: quote(exe) + " 'a b' c", Executable: exe}
	got, err := ReadProcess(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a running process (-want +got):\n%s", diff)
	}
	self, err := processName(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Parents(c.pid, os.Getpid()), fmt.Sprintf("%s (pid %d)", self, os.Getpid()); got != want {
		t.Errorf("its parents are %q, want %q", got, want)
	}
	if got := Parents(os.Getpid(), c.pid); got != "" {
		t.Errorf("we descend from our child: %q", got)
	}
	if !Descends(c.pid, os.Getpid()) {
		t.Error("a child whose name has spaces and parentheses does not descend from us")
	}
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadProcess(c.pid); err != nil || got.Name != name {
		t.Errorf("its executable removed: got %+v, %v, want the name %q", got, err, name)
	}
	c.stop()
	if got, err := ReadProcess(c.pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that is gone: got %+v, %v", got, err)
	}
}

func TestProcessWithoutExecutableHasItsThreadName(t *testing.T) {
	link := filepath.Join(t.TempDir(), "a) R (b")
	if err := os.Symlink("/bin/true", link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(link)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	out.Read(make([]byte, 1)) // until it exits
	pid := cmd.Process.Pid
	for !isZombie(t, pid) { // it closes its output before it becomes one
	}
	got, err := ReadProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(flow.Process{PID: pid, Name: "a) R (b"}, got); diff != "" {
		t.Errorf("a zombie (-want +got):\n%s", diff)
	}
	if !Descends(pid, os.Getpid()) || !slices.Contains(Descendants(os.Getpid()), pid) {
		t.Error("a zombie does not descend from us")
	}
}

func isZombie(t *testing.T, pid int) bool {
	stat, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(stat), "(a) R (b) Z ")
}

func TestNoProcess(t *testing.T) {
	for _, pid := range []int{0, -1, 1 << 30} {
		if got, err := ReadProcess(pid); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadProcess(%d) = %+v, %v", pid, got, err)
		}
		if Descends(pid, 1) {
			t.Errorf("Descends(%d, 1)", pid)
		}
		if got := Descendants(pid); pid != 0 && got != nil {
			t.Errorf("Descendants(%d) = %v", pid, got)
		}
	}
}

func TestDescent(t *testing.T) {
	self := os.Getpid()
	c := start(t, "spawn")
	grandchild, err := strconv.Atoi(c.line)
	if err != nil {
		t.Fatal(err)
	}
	sibling := start(t, "wait").pid
	for _, tt := range []struct {
		pid, ancestor int
		want          bool
		reason        string
	}{
		{c.pid, self, true, "child"},
		{grandchild, self, true, "grandchild"},
		{grandchild, c.pid, true, "child of a child"},
		{self, c.pid, false, "the other way round"},
		{c.pid, c.pid, false, "itself"},
		{grandchild, sibling, false, "a sibling's branch"},
		{grandchild, os.Getppid(), true, "our own parent"},
	} {
		if got := Descends(tt.pid, tt.ancestor); got != tt.want {
			t.Errorf("%s: Descends(%d, %d) = %v", tt.reason, tt.pid, tt.ancestor, got)
		}
	}
	got := Descendants(self)
	for _, pid := range []int{c.pid, grandchild, sibling} {
		if !slices.Contains(got, pid) {
			t.Errorf("Descendants = %v lacks %d", got, pid)
		}
	}
	if slices.Contains(got, self) || !slices.IsSorted(got) {
		t.Errorf("Descendants = %v", got)
	}
	if diff := cmp.Diff([]int{grandchild}, Descendants(c.pid)); diff != "" {
		t.Errorf("descendants of the child (-want +got):\n%s", diff)
	}
}

func TestParentInStat(t *testing.T) {
	for stat, want := range map[string]int{
		"42 (cat) R 7 42 7 0":          7,
		"42 (a) S 1 (b) c) S 9 42 7 0": 9,
		"42 ( ) ) Z 3 1":               3,
		"42 (new\nline) S 5 1":         5,
	} {
		if got, err := parentInStat([]byte(stat)); err != nil || got != want {
			t.Errorf("parentInStat(%q) = %d, %v, want %d", stat, got, err, want)
		}
	}
	for _, stat := range []string{"", "42 (cat)", "42 (cat) R", "42 (cat) R x"} {
		if got, err := parentInStat([]byte(stat)); err == nil {
			t.Errorf("parentInStat(%q) = %d", stat, got)
		}
	}
}
