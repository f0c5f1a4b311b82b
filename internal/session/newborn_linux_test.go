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

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain lets the test binary be its own child process: one that tries to connect.
func TestMain(m *testing.M) {
	if to := os.Getenv("SESSION_TEST_DIAL"); to != "" {
		if c, err := net.Dial("tcp", to); err == nil {
			c.Close()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestNewbornCgroupsAreRecordedWhereAskedFor(t *testing.T) {
	testenv.RequireRoot(t)
	for _, row := range []struct {
		reason  string
		newborn Newborn
		told    bool
	}{
		{"asked for", func(*probe.CgroupEvent) bool { return false }, true},
		{"not asked for", nil, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			var mu sync.Mutex
			told := make(map[uint64]bool)
			s, err := Open(probe.Sizes{}, func(events []probe.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if e, ok := e.(*probe.CgroupEvent); ok {
						told[e.Cgroup] = true
					}
				}
			}, nil, row.newborn)
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
			if told[id] != row.told || told[s.Leaf.ID] {
				t.Errorf("told of the newborn cgroup: %t, of the own one: %t", told[id], told[s.Leaf.ID])
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

// dialIn runs a child in a cgroup that tries to connect, and is in it from birth.
func dialIn(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "SESSION_TEST_DIAL=127.0.0.1:1")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	return cmd.Run()
}
