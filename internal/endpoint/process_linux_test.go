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

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestReadProcess_Executable(t *testing.T) {
	testenv.Recorded(t, "the executable's name from /proc, as a fallback")
	const name = `S 1 (x) y's` // looks like fields in /proc/<pid>/stat
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
	if got, want := Parents(c.pid, os.Getpid()),
		[]string{fmt.Sprintf("%s (pid %d)", self, os.Getpid())}; !slices.Equal(got, want) {
		t.Errorf("its parents are %q, want %q", got, want)
	}
	if got := Parents(os.Getpid(), c.pid); got != nil {
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

func TestReadProcess_ThreadName(t *testing.T) {
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
	for !isZombie(t, pid) { // it closes its output before it becomes a zombie
	}
	got, err := ReadProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(flow.Process{PID: pid, Name: "a) R (b"}, got); diff != "" {
		t.Errorf("a zombie (-want +got):\n%s", diff)
	}
	if !Descends(pid, os.Getpid()) || !slices.Contains(descendants(t, os.Getpid()), pid) {
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

func TestReadProcess_Missing(t *testing.T) {
	for _, pid := range []int{0, -1, 1 << 30} {
		if got, err := ReadProcess(pid); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadProcess(%d) = %+v, %v", pid, got, err)
		}
		if Descends(pid, 1) {
			t.Errorf("Descends(%d, 1)", pid)
		}
		if got, err := Descendants(pid); err != nil || pid != 0 && got != nil {
			t.Errorf("Descendants(%d) = %v, %v", pid, got, err)
		}
	}
}

func descendants(t *testing.T, pid int) []int {
	t.Helper()
	pids, err := Descendants(pid)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

func TestDescends_Tree(t *testing.T) {
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
	got := descendants(t, self)
	for _, pid := range []int{c.pid, grandchild, sibling} {
		if !slices.Contains(got, pid) {
			t.Errorf("Descendants = %v lacks %d", got, pid)
		}
	}
	if slices.Contains(got, self) || !slices.IsSorted(got) {
		t.Errorf("Descendants = %v", got)
	}
	if diff := cmp.Diff([]int{grandchild}, descendants(t, c.pid)); diff != "" {
		t.Errorf("descendants of the child (-want +got):\n%s", diff)
	}
}

// nest starts processes, each the parent of the next, and returns their ids from the outermost.
func nest(t *testing.T, depth int, change func(*exec.Cmd)) []int {
	t.Helper()
	c, err := tryStart(t, testBinary(t), change, "nest", strconv.Itoa(depth))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(c.line) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != depth+1 {
		t.Fatalf("%d processes are nested: %q", depth+1, c.line)
	}
	return pids
}

func TestDescendants_UnreadableIsError(t *testing.T) {
	if got, want := start(t, "starve", "1").line, "0, failed: true"; got != want {
		t.Errorf("descendants without a file descriptor to spare: got %q, want %q", got, want)
	}
}

// A process without children has no descendants, whatever else runs on the machine.
func TestDescendants_NoChildren(t *testing.T) {
	if got, want := start(t, "starve", "0").line, "0, failed: false"; got != want {
		t.Errorf("descendants of a process without children, without file descriptors: got %q, want %q", got, want)
	}
}

func TestParents_DeeplyNested(t *testing.T) {
	self, sibling := os.Getpid(), start(t, "wait").pid
	for _, depth := range []int{1, 7, 8, 9, 12, 40} {
		pids := nest(t, depth, func(*exec.Cmd) {})
		innermost := pids[depth]
		var want []string
		for i := depth - 1; i >= 0; i-- {
			want = append(want, fmt.Sprintf("endpoint.test (pid %d)", pids[i]))
		}
		if got := Parents(innermost, pids[0]); !slices.Equal(got, want) {
			t.Errorf("parents of a process %d below: got %q, want %q", depth, got, want)
		}
		if got, want := Parents(innermost, self),
			append(want, fmt.Sprintf("endpoint.test (pid %d)", self)); !slices.Equal(got, want) {
			t.Errorf("parents of a process %d below, up to this one: got %q, want %q", depth, got, want)
		}
		for _, stranger := range []int{sibling, innermost, 1 << 30} {
			if got := Parents(innermost, stranger); got != nil {
				t.Errorf("a process %d below descends from %d, which is no ancestor: %q", depth, stranger, got)
			}
		}
		if got, want := descendants(t, pids[0]), slices.Sorted(slices.Values(pids[1:])); !slices.Equal(got, want) {
			t.Errorf("descendants of a process with %d below: got %v, want %v", depth, got, want)
		}
	}
}

// A test process may be the first one of a container, with only its own processes below it.
func TestDescends_FirstProcess(t *testing.T) {
	got := Parents(os.Getpid(), 1)
	// A process that enters a container descends from none of its processes.
	if Descends(os.Getpid(), 1) != (len(got) > 0 && strings.HasSuffix(got[len(got)-1], " (pid 1)")) {
		t.Errorf("parents of this process up to the first one: got %q", got)
	}
}

func TestParentInStat_Valid(t *testing.T) {
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
