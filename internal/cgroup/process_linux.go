package cgroup

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// OfProcess returns the path of a process's cgroup from the root of this process's cgroup namespace: "/docker/<id>". It
// returns fs.ErrNotExist for a process that has ended.
func OfProcess(pid int) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", fmt.Errorf("find cgroup of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("find cgroup of process %d: %w", pid, ErrNoTree)
}

// LeafOwner returns the process that made the leaf with this directory name; false if it is not the name of a leaf.
func LeafOwner(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, leafPrefix)
	owner, _, dash := strings.Cut(rest, "-")
	if !ok || !dash {
		return 0, false
	}
	pid, err := strconv.Atoi(owner)
	return pid, err == nil && pid > 0
}
