package session

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain makes the test binary its own child process.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testPatience is how long a test waits for what another process does at once. On an emulated CPU that takes seconds.
const testPatience = 30 * time.Second

const roleVariable = "SESSION_TEST_ROLE"

// play is a child's role: "dial" tries to connect; "unrelated" starts a process that leaves its parents behind. When
// that can open a pipe, it runs "dial" in a cgroup from its start.
func play(role string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	switch role {
	case "dial":
		if c, err := net.Dial("tcp", "127.0.0.1:1"); err == nil {
			c.Close()
		}
		return nil
	case "unrelated":
		cmd := exec.Command(self)
		cmd.Env = []string{roleVariable + "=left", "PIPE=" + os.Getenv("PIPE")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Start()
	case "left":
		order, err := os.ReadFile(os.Getenv("PIPE"))
		if err != nil {
			return err
		}
		group, err := os.Open(string(order))
		if err != nil {
			return err
		}
		defer group.Close()
		cmd := exec.Command(self)
		cmd.Env = []string{roleVariable + "=dial"}
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		err = cmd.Run()
		if err == nil {
			err = os.WriteFile(os.Getenv("PIPE"), []byte("done"), 0)
		}
		return err
	}
	return errors.New("no such role")
}

func TestOpen_NewCgroups(t *testing.T) {
	testenv.RequireRoot(t)
	for _, row := range []struct {
		reason    string
		unrelated func(*probe.CgroupEvent) bool
		reported  bool
	}{
		{"asked for", func(*probe.CgroupEvent) bool { return false }, true},
		{"not requested", nil, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			dialIn := unrelated(t)
			var mu sync.Mutex
			reported := make(map[uint64]bool)
			s, err := Open(probe.Sizes{}, probe.Handler{Unrelated: row.unrelated, Handle: func(events []probe.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if e, ok := e.(*probe.CgroupEvent); ok {
						reported[e.Cgroup] = true
					}
				}
			}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			if s.Self.PID == 0 || s.Self.Netns == 0 {
				t.Errorf("this process is %+v", s.Self)
			}
			dir := filepath.Join(filepath.Dir(s.Leaf.Path), fmt.Sprintf("session-test-%d", os.Getpid()))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(dir)
			id, err := cgroup.ID(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := dialIn(dir); err != nil {
				t.Fatal(err)
			}
			if err := s.Probe.Sync(); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if reported[id] != row.reported || reported[s.Leaf.ID] {
				t.Errorf("the new cgroup was reported: %t, the own one: %t", reported[id], reported[s.Leaf.ID])
			}
			if got, err := s.Tree.Path(id); err != nil || got != dir {
				t.Errorf("its path is %q, %v", got, err)
			}
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Tree.Path(id); !errors.Is(err, cgroup.ErrNoCgroup) {
				t.Errorf("once it is gone, its path is %q, %v", got, err)
			}
		})
	}
}

// unrelated starts an unrelated process, and returns a function that makes it connect in a cgroup.
func unrelated(t *testing.T) (dialIn func(dir string) error) {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVariable + "=unrelated", "PIPE=" + pipe}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return func(dir string) error {
		if err := os.WriteFile(pipe, []byte(dir), 0); err != nil {
			return err
		}
		answer, err := os.ReadFile(pipe)
		if err == nil && string(answer) != "done" {
			err = fmt.Errorf("the unrelated process says %q", answer)
		}
		return err
	}
}
