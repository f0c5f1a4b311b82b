package endpoint

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestParentsInsideAContainerEndWithItsFirstProcess(t *testing.T) {
	testenv.RequireRoot(t)
	cmd := exec.Command("sh", "-c", "sleep 60 & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill() // and with it all in its namespace
		cmd.Wait()
	}()
	first := cmd.Process.Pid
	var inside []int
	for deadline := time.Now().Add(10 * time.Second); len(inside) == 0; time.Sleep(10 * time.Millisecond) {
		if inside = Descendants(first); time.Now().After(deadline) {
			t.Fatal("the shell starts nothing")
		}
	}
	name, err := processName(first)
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{inside[0]: fmt.Sprintf("%s (pid %d)", name, first), first: "", os.Getpid(): ""} {
		if got := ParentsInside(pid); got != want {
			t.Errorf("parents of %d inside: %q, want %q", pid, got, want)
		}
	}
}
