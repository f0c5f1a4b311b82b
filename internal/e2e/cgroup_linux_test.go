package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupVariable holds the directory of the script's cgroup.
const cgroupVariable = "E2E_CGROUP"

// enter moves this process into the script's cgroup and into a new session. Orphans of the same session may count as
// daemons of the test, and other scripts and packages have orphans too.
func enter() error {
	if _, err := unix.Setsid(); err != nil {
		return fmt.Errorf("start a session: %w", err)
	}
	pid := strconv.Itoa(os.Getpid())
	return os.WriteFile(filepath.Join(os.Getenv(cgroupVariable), "cgroup.procs"), []byte(pid), 0)
}

// waitEmpty waits for the last processes of a cgroup to end.
func waitEmpty(dir string) error {
	var left []string
	if within(2*time.Second, func() bool { left = leftIn(dir); return len(left) == 0 }) {
		return nil
	}
	return fmt.Errorf("left in the script's cgroup: %q", left)
}

// leftIn returns the cgroups below one, and the processes in it.
func leftIn(dir string) []string {
	left, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return append(left, strings.Fields(string(procs))...)
}

// clear kills the processes of a cgroup, and removes it with all cgroups below.
func clear(dir string) error {
	if len(leftIn(dir)) > 0 {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
			return err
		}
	}
	var err error
	within(2*time.Second, func() bool {
		below, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
		for _, procs := range below {
			_ = os.Remove(filepath.Dir(procs)) // fails while a cgroup below remains
		}
		err = os.Remove(dir)
		return err == nil
	})
	return err
}
