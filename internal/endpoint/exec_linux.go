package endpoint

import (
	"bytes"
	"os"
	"strings"
)

// ExecInside returns the command that an engine started in a running container, as docker exec and health checks do,
// and from which a process descends: its arguments unquoted, separated by spaces and at most 4096 bytes long. It
// returns "" for a descendant of the container's first process, for a process in this process's pid namespace, and if
// the answer is no longer available.
func ExecInside(pid int) string {
	inside, err := os.Readlink(procPath(pid, "ns/pid"))
	if own, _ := os.Readlink(procPath(0, "ns/pid")); err != nil || own == inside {
		return ""
	}
	for seen := map[int]bool{}; !seen[pid]; { // ids may be reused during the walk
		seen[pid] = true
		parent, err := parentOf(pid)
		if err != nil {
			return ""
		}
		namespace, err := os.Readlink(procPath(parent, "ns/pid"))
		switch {
		case parent >= 1 && err == nil && namespace == inside:
			pid = parent
			continue
		case idInside(pid) == "1": // the container's first process
			return ""
		}
		cmdline, err := os.ReadFile(procPath(pid, "cmdline"))
		if err != nil {
			return ""
		}
		command := strings.ReplaceAll(strings.TrimRight(string(cmdline), "\x00"), "\x00", " ")
		return command[:min(len(command), maxCommand)]
	}
	return ""
}

// idInside returns the id of a process in its innermost pid namespace.
func idInside(pid int) string {
	status, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return ""
	}
	_, ids, _ := bytes.Cut(status, []byte("\nNSpid:"))
	ids, _, _ = bytes.Cut(ids, []byte("\n"))
	fields := bytes.Fields(ids)
	if len(fields) == 0 {
		return ""
	}
	return string(fields[len(fields)-1])
}
