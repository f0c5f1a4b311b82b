package session

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// A process of a container may end while it is read. Its description then does not say that no engine started it.
func TestDescribe_EndsDuringRead(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "nsenter", "util-linux")
	first := exec.Command("sleep", "600")
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		first.Process.Kill() // ends all processes of its namespace
		first.Wait()
	}()
	namespace := namespaceOf(t, first.Process.Pid)
	described := 0
	for range 30 {
		// The shell ends at once, so that the command is not a descendant of this process.
		enter := fmt.Sprintf("nsenter --target %d --pid sleep 600 &", first.Process.Pid)
		if err := exec.Command("sh", "-c", enter).Run(); err != nil {
			t.Fatal(err)
		}
		pid := 0
		for deadline := time.Now().Add(10 * time.Second); pid == 0; {
			for _, dir := range glob(t, "/proc/[0-9]*") {
				n, _ := strconv.Atoi(filepath.Base(dir))
				if to, err := os.Readlink(dir + "/ns/pid"); err == nil && to == namespace && n != first.Process.Pid {
					pid = n
				}
			}
			if time.Now().After(deadline) {
				t.Fatal("nsenter starts nothing")
			}
		}
		killed := make(chan error)
		go func() { killed <- syscall.Kill(pid, syscall.SIGKILL) }()
		for {
			p := new(Session).describe(probe.Initiator{PID: pid}, nil)
			if p.Name == "" {
				break
			}
			if described++; p.Command != "" && p.Exec == "" {
				t.Errorf("%d: %+v", described, p)
			}
		}
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
	}
}

func namespaceOf(t *testing.T, pid int) string {
	t.Helper()
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		t.Fatal(err)
	}
	return namespace
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
