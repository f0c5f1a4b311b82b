package endpoint

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestParentsInside_FirstProcess(t *testing.T) {
	testenv.RequireRoot(t)
	cmd := exec.Command("sh", "-c", "sleep 60 & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill() // ends all processes of its namespace
		cmd.Wait()
	}()
	first := cmd.Process.Pid
	var inside []int
	for deadline := time.Now().Add(10 * time.Second); len(inside) == 0; time.Sleep(10 * time.Millisecond) {
		if inside = descendants(t, first); time.Now().After(deadline) {
			t.Fatal("the shell starts nothing")
		}
	}
	name, err := processName(first)
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{inside[0]: fmt.Sprintf("%s (pid %d)", name, first), first: "",
		os.Getpid(): ""} {
		if got := strings.Join(ParentsInside(pid), ", "); got != want {
			t.Errorf("parents of %d inside: %q, want %q", pid, got, want)
		}
	}
}

func TestParentsInside_DeeplyNested(t *testing.T) {
	testenv.RequireRoot(t)
	const depth = 12
	c, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWPID), "nest", fmt.Sprint(depth))
	if err != nil {
		t.Fatal(err)
	}
	inside := descendants(t, c.pid)
	if len(inside) != depth {
		t.Fatalf("%d processes are nested: %v", depth, inside)
	}
	chain := []int{c.pid}
	for pid := c.pid; ; {
		next := slices.IndexFunc(inside, func(child int) bool { parent, _ := parentOf(child); return parent == pid })
		if next < 0 {
			break
		}
		pid = inside[next]
		chain = append(chain, pid)
	}
	var want []string
	for _, pid := range slices.Backward(chain[:depth]) {
		want = append(want, fmt.Sprintf("endpoint.test (pid %d)", pid))
	}
	if got := ParentsInside(chain[depth]); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
