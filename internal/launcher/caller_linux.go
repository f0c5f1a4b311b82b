package launcher

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// environment returns the environment with which a process was started; 0 is this one. The environment of this process
// itself may differ from it: the Go runtime of a privileged program changes it.
func environment(pid int) ([]string, error) {
	text, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	var env []string
	for variable := range bytes.SplitSeq(text, []byte{0}) {
		if len(variable) > 0 {
			env = append(env, string(variable))
		}
	}
	return env, nil
}

// become completes a command with the user, the groups, the umask, the directory and the cgroup of a process.
func (c *command) become(pid int) error {
	status, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	// Uid:	1000	1000	1000	1000
	if c.uid, err = first(status, "Uid"); err != nil {
		return err
	}
	if c.gid, err = first(status, "Gid"); err != nil {
		return err
	}
	c.groups = []int{}
	for _, group := range fields(status, "Groups") {
		id, err := strconv.Atoi(group)
		if err != nil {
			return fmt.Errorf("parse groups: %w", err)
		}
		c.groups = append(c.groups, id)
	}
	if mask := fields(status, "Umask"); len(mask) == 1 {
		n, err := strconv.ParseUint(mask[0], 8, 32)
		if err != nil {
			return fmt.Errorf("parse umask: %w", err)
		}
		unix.Umask(int(n))
	}
	if c.dir, err = os.Readlink(procPath(pid, "cwd")); err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	c.cgroup, err = cgroup.OfProcess(pid)
	return err
}

// fields returns the values of a line of proc_pid_status(5).
func fields(status []byte, name string) []string {
	for line := range bytes.Lines(status) {
		if values, is := bytes.CutPrefix(line, []byte(name+":")); is {
			return strings.Fields(string(values))
		}
	}
	return nil
}

func first(status []byte, name string) (int, error) {
	values := fields(status, name)
	if len(values) == 0 {
		return 0, fmt.Errorf("parse status: no %s", name)
	}
	return strconv.Atoi(values[0])
}

// procPath returns the path of a process's file in /proc; pid 0 is this process.
func procPath(pid int, file string) string {
	if pid == 0 {
		return "/proc/self/" + file
	}
	return fmt.Sprintf("/proc/%d/%s", pid, file)
}
