package cgroup

import (
	"bufio"
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

	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain makes the test binary its own child process: one that waits, or one that enters a leaf and waits.
func TestMain(m *testing.M) {
	switch os.Getenv("CGROUP_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "leaf":
		tree, err := FindTree()
		if err == nil {
			var leaf *Leaf
			if leaf, err = NewLeaf(tree); err == nil {
				err = leaf.Move(os.Getpid())
				fmt.Println(leaf.Path)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "wait":
		fmt.Println("waiting")
	}
	os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// child starts a copy of this process, which prints a line and waits for the end of its input.
func child(t *testing.T, role string) (cmd *exec.Cmd, line string) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CGROUP_TEST_CHILD="+role)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err = bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	return cmd, strings.TrimSpace(line)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLeaf(t *testing.T) (Tree, *Leaf) {
	t.Helper()
	testenv.RequireRoot(t)
	tree, err := FindTree()
	check(t, err)
	leaf, err := NewLeaf(tree)
	check(t, err)
	return tree, leaf
}

func members(t *testing.T, dir string) map[int]bool {
	t.Helper()
	pids, err := processes(dir)
	check(t, err)
	set := make(map[int]bool)
	for _, pid := range pids {
		set[pid] = true
	}
	return set
}

func TestLeaf_EnterAndLeave(t *testing.T) {
	testenv.Recorded(t, "the test's own cgroup, entered and left")
	tree, leaf := newLeaf(t)
	parent := filepath.Dir(leaf.Path)
	check(t, leaf.Move(os.Getpid()))
	if dir, err := tree.Current(); err != nil || dir != leaf.Path {
		t.Errorf("is in %s, %v; want %s", dir, err, leaf.Path)
	}
	check(t, leaf.Check())
	check(t, move(parent, []int{os.Getpid()}))
	if err := leaf.Check(); err == nil {
		t.Error("being moved out of the leaf is no error")
	}
	check(t, leaf.Move(os.Getpid()))
	inherited, _ := child(t, "wait")
	if !members(t, leaf.Path)[inherited.Process.Pid] {
		t.Error("a child did not inherit the leaf")
	}
	nested := filepath.Join(leaf.Path, "nested")
	check(t, os.Mkdir(nested, 0o755))
	check(t, move(nested, []int{inherited.Process.Pid}))
	check(t, leaf.Leave())
	if dir, err := tree.Current(); err != nil || dir != parent {
		t.Errorf("is in %s, %v; want %s", dir, err, parent)
	}
	if !members(t, parent)[inherited.Process.Pid] {
		t.Error("a child that was in a nested cgroup is not back")
	}
	if _, err := os.Stat(leaf.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leaf is still there: %v", err)
	}
}

// A test may put its threads into threaded cgroups below the leaf.
func TestLeaf_LeaveThreadedCgroups(t *testing.T) {
	_, leaf := newLeaf(t)
	parent := filepath.Dir(leaf.Path)
	inherited, _ := child(t, "wait")
	threads := filepath.Join(leaf.Path, "a", "threads")
	check(t, os.MkdirAll(threads, 0o755))
	check(t, move(filepath.Dir(threads), []int{inherited.Process.Pid}))
	check(t, os.WriteFile(filepath.Join(threads, "cgroup.type"), []byte("threaded"), 0))
	check(t, os.WriteFile(filepath.Join(threads, "cgroup.threads"), []byte(strconv.Itoa(inherited.Process.Pid)), 0))
	check(t, leaf.Leave())
	if !members(t, parent)[inherited.Process.Pid] {
		t.Error("a process whose thread was in a threaded cgroup is not back")
	}
}

func TestMove_IgnoresOtherCgroups(t *testing.T) {
	_, leaf := newLeaf(t)
	defer func() { check(t, leaf.Leave()) }()
	elsewhere := filepath.Join(filepath.Dir(leaf.Path), fmt.Sprintf("cgroup-test-%d", os.Getpid()))
	check(t, os.Mkdir(elsewhere, 0o755))
	other, _ := child(t, "wait")
	check(t, move(elsewhere, []int{other.Process.Pid}))
	check(t, leaf.Move(other.Process.Pid, 1<<30))
	if members(t, leaf.Path)[other.Process.Pid] || !members(t, elsewhere)[other.Process.Pid] {
		t.Error("a process of another cgroup was moved")
	}
	check(t, removeTree(elsewhere, filepath.Dir(leaf.Path), patience))
}

// Recordings of other users read it.
func TestNewLeaf_IsReadableDespiteUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	_, leaf := newLeaf(t)
	defer leaf.Leave()
	info, err := os.Stat(leaf.Path)
	check(t, err)
	if got := info.Mode().Perm(); got != 0o755 {
		t.Errorf("a leaf has mode %o", got)
	}
}

func TestNewLeaf_RemovesStaleLeaf(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "cgroups of killed runs are removed")
	killed, stale := child(t, "leaf")
	alive, living := child(t, "leaf")
	orphan := filepath.Join(stale, "nested")
	check(t, os.Mkdir(orphan, 0o755))
	check(t, syscall.Kill(killed.Process.Pid, syscall.SIGKILL))
	killed.Wait()

	_, leaf := newLeaf(t)
	defer func() { check(t, leaf.Leave()) }()
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the killed run's leaf is still there: %v", err)
	}
	if !members(t, living)[alive.Process.Pid] {
		t.Error("a living run was thrown out of its leaf")
	}
	check(t, removeWhenDead(alive, living))
}

// removeWhenDead ends a child that has a leaf, and removes the leaf like the next run.
func removeWhenDead(cmd *exec.Cmd, leaf string) error {
	cmd.Process.Kill()
	cmd.Wait()
	return removeTree(leaf, filepath.Dir(leaf), patience)
}

func TestNewLeaf_MovesOrphansOfKilledRun(t *testing.T) {
	testenv.RequireRoot(t)
	killed, stale := child(t, "leaf")
	orphan, _ := child(t, "wait")
	check(t, move(stale, []int{orphan.Process.Pid}))
	check(t, killed.Process.Kill())
	killed.Wait()
	_, leaf := newLeaf(t)
	parent := filepath.Dir(leaf.Path)
	check(t, leaf.Leave())
	if !members(t, parent)[orphan.Process.Pid] {
		t.Error("the orphan is not where the leaf was made")
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the killed run's leaf is still there: %v", err)
	}
}

func TestLeaf_ParallelRuns(t *testing.T) {
	tree, first := newLeaf(t)
	defer func() { check(t, first.Leave()) }()
	var runs sync.WaitGroup
	for range 16 {
		runs.Go(func() {
			for range 10 {
				leaf, err := NewLeaf(tree)
				if err != nil {
					t.Error(err)
					return
				}
				if err := leaf.Leave(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	runs.Wait()
}

func TestLeave_ForkingChildren(t *testing.T) {
	_, leaf := newLeaf(t)
	check(t, leaf.Move(os.Getpid()))
	stop := make(chan struct{})
	var forks sync.WaitGroup
	for range 4 {
		forks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = append(os.Environ(), "CGROUP_TEST_CHILD=wait") // ends at once: no input
				cmd.Run()
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	if err := leaf.Leave(); err != nil {
		t.Error(err)
	}
	close(stop)
	forks.Wait()
}

func TestID_NotACgroup(t *testing.T) {
	if _, err := ID("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ID of a missing directory: %v", err)
	}
}

func TestInLeaf_Descendants(t *testing.T) {
	testenv.RequireRoot(t)
	if InLeaf() {
		t.Fatal("this test is recorded")
	}
	tree, err := FindTree()
	if err != nil {
		t.Fatal(err)
	}
	outer, err := NewLeaf(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Leave()
	if err := outer.Move(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if !InLeaf() {
		t.Error("in a leaf: got false")
	}
	inner, err := NewLeaf(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Move(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if err := inner.Leave(); err != nil {
		t.Fatal(err)
	}
	if !InLeaf() {
		t.Error("in the leaf of a process that started it, out of its own: got false")
	}
	if err := outer.Leave(); err != nil {
		t.Fatal(err)
	}
	if InLeaf() {
		t.Error("out of all leaves: got true")
	}
}
