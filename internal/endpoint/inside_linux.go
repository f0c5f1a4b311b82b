package endpoint

import (
	"os"
	"slices"
	"strings"
)

// Inside describes how a process of a container was started. exec is the command that an engine started in the running
// container, as docker exec and health checks do, and from which the process descends: its arguments unquoted,
// separated by spaces and at most 4096 bytes long; "" for a descendant of the container's first process. parents names
// the processes from which it descends, nearest first, within its pid namespace.
//
// Both are empty for a process in this process's pid namespace, and for one that ends meanwhile.
func Inside(pid int) (parents []string, exec string) {
	if samePIDNamespace(pid, os.Getpid()) {
		return nil, ""
	}
	for alive(pid) {
		chain, ok := chainInside(pid)
		if !ok {
			continue // a process in between has ended, so the processes below it have another parent now
		}
		top := chain[len(chain)-1]
		ids := idsOf(top)
		if len(ids) > 0 && ids[len(ids)-1] == "1" { // the container's first process
			return describeChain(chain[1:]), ""
		}
		cmdline, err := os.ReadFile(procPath(top, "cmdline"))
		if exec = strings.TrimRight(string(cmdline), "\x00"); err != nil || exec == "" {
			if Ended(pid) {
				return nil, ""
			}
			continue
		}
		exec = strings.ReplaceAll(exec, "\x00", " ")
		return describeChain(chain[1:]), exec[:min(len(exec), maxCommand)]
	}
	return nil, ""
}

// chainInside returns a process and those from which it descends in its pid namespace; false if one of them ended
// meanwhile.
func chainInside(pid int) (chain []int, ok bool) {
	for {
		chain = append(chain, pid)
		parent, err := parentOf(pid)
		if err != nil {
			return nil, false
		}
		if parent < 1 || slices.Contains(chain, parent) || !samePIDNamespace(parent, pid) { // ids may be reused
			return chain, parent < 1 || alive(parent)
		}
		pid = parent
	}
}

// samePIDNamespace reports whether two processes, of which one descends from the other, are in one pid namespace. If
// they belong to another user, the links to their namespaces cannot be read without CAP_SYS_PTRACE. But everyone may
// read in how many namespaces a process is, and a child is in that of its parent or in one further in.
func samePIDNamespace(a, b int) bool {
	one, err := os.Readlink(procPath(a, "ns/pid"))
	if err == nil {
		var other string
		if other, err = os.Readlink(procPath(b, "ns/pid")); err == nil {
			return one == other
		}
	}
	depth := len(idsOf(a))
	return depth > 0 && depth == len(idsOf(b))
}

// idsOf returns the ids of a process in its pid namespaces, the innermost last; none if it is gone.
func idsOf(pid int) []string {
	status, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return nil
	}
	_, ids, _ := strings.Cut(string(status), "\nNSpid:")
	ids, _, _ = strings.Cut(ids, "\n")
	return strings.Fields(ids)
}
