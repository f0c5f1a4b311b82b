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

func TestInside_FirstProcess(t *testing.T) {
	testenv.RequireRoot(t)
	first := inNamespace(t, exec.Command("sh", "-c", "sleep 60 & wait"), syscall.CLONE_NEWPID)
	inside := onlyChild(t, first)
	name, err := processName(first)
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{inside: fmt.Sprintf("%s (pid %d)", name, first), first: "",
		os.Getpid(): ""} {
		parents, exec := Inside(pid)
		if got := strings.Join(parents, ", "); got != want || exec != "" {
			t.Errorf("parents of %d inside: %q (by %q), want %q", pid, got, exec, want)
		}
	}
}

func TestInside_DeeplyNested(t *testing.T) {
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
	if got, _ := Inside(chain[depth]); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Containers belong to another user, whose links in /proc may not be read: their processes are described all the same.
func TestInside_OtherUser(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "nsenter", "util-linux")
	first := inNamespace(t, exec.Command("sh", "-c", "sleep 60 & wait"), syscall.CLONE_NEWPID)
	started := onlyChild(t, first)
	engine := inNamespace(t, exec.Command("nsenter", "--target", fmt.Sprint(first), "--pid", "sh", "-c",
		"sleep 60; exit"), 0)
	command := onlyChild(t, engine)
	ran := onlyChild(t, command)
	const nobody = 65534
	exe := copyBinary(t, "look")
	for _, row := range []struct {
		reason string
		pid    int
		want   string
	}{
		{"of this machine", os.Getpid(), `[] ""`},
		{"the first process", first, `[] ""`},
		{"started by it", started, fmt.Sprintf(`["sh (pid %d)"] ""`, first)},
		{"an engine's command", command, `[] "sh -c sleep 60; exit"`},
		{"started by that", ran, fmt.Sprintf(`["sh (pid %d)"] "sh -c sleep 60; exit"`, command)},
	} {
		c, err := tryStart(t, exe, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			cmd.Dir = "/"
		}, "inside", fmt.Sprint(row.pid))
		if err != nil {
			t.Fatal(err)
		}
		c.stop()
		if c.line != row.want {
			t.Errorf("%s: got %s, want %s", row.reason, c.line, row.want)
		}
	}
}

// inNamespace starts a program in new namespaces, and ends it with the test.
func inNamespace(t *testing.T, cmd *exec.Cmd, flags uintptr) (pid int) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // with the first process of a namespace all others end
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// onlyChild waits until a process has a child whose name is not its own, as after exec, and returns it.
func onlyChild(t *testing.T, pid int) int {
	t.Helper()
	own, err := processName(pid)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		for _, child := range descendants(t, pid) {
			parent, _ := parentOf(child)
			if name, err := processName(child); parent == pid && err == nil && name != own {
				return child
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s starts nothing", own)
		}
	}
}
