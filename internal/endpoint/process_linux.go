package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ReadProcess describes a running process. Its name is the executable's file name, or the kernel's thread name if the
// executable is unreadable (another user's process) or missing (a zombie, a kernel thread). Its command line is in
// shell syntax and at most 4096 bytes long; "" for a zombie or kernel thread. The error for a process that is gone is
// fs.ErrNotExist.
func ReadProcess(pid int) (flow.Process, error) {
	name, err := processName(pid)
	if err != nil {
		return flow.Process{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	p := flow.Process{PID: pid, Name: name}
	if exe, err := os.Readlink(procPath(pid, "exe")); err == nil {
		p.Executable = strings.TrimSuffix(exe, " (deleted)")
	}
	f, err := os.Open(procPath(pid, "cmdline"))
	if err != nil {
		return p, nil // it ended, or hides its arguments: the name is still useful
	}
	defer f.Close()
	cmdline, err := io.ReadAll(io.LimitReader(f, maxCommand+1))
	if err == nil {
		p.Command = commandLine(cmdline)
	}
	return p, nil
}

func processName(pid int) (string, error) {
	if pid <= 0 {
		return "", fmt.Errorf("no such process id: %w", fs.ErrNotExist)
	}
	if exe, err := os.Readlink(procPath(pid, "exe")); err == nil {
		return path.Base(strings.TrimSuffix(exe, " (deleted)")), nil
	}
	comm, err := os.ReadFile(procPath(pid, "comm"))
	if err != nil {
		if !alive(pid) {
			err = fs.ErrNotExist // the kernel returns ESRCH between open and read
		}
		return "", err
	}
	return strings.TrimSuffix(string(comm), "\n"), nil
}

// alive reports whether a process exists, if only as a zombie.
func alive(pid int) bool {
	_, err := os.Stat(procPath(pid, ""))
	return err == nil
}

// Descends reports whether ancestor is currently a direct or indirect parent of pid. After its parent ends, a process
// descends only from init. No process descends from itself.
func Descends(pid, ancestor int) bool {
	seen := make(map[int]bool) // ids may be reused during the walk
	for pid > 1 && !seen[pid] {
		seen[pid] = true
		parent, err := parentOf(pid)
		if err != nil {
			return false
		}
		if parent == ancestor {
			return true
		}
		pid = parent
	}
	return false
}

// Parents names the processes from which one descends, nearest first, up to an ancestor: "sh (pid 12)",
// "make (pid 11)". It returns nil if pid does not descend from the ancestor.
func Parents(pid, ancestor int) []string {
	var chain []int
	for seen := map[int]bool{pid: true}; ; { // ids may be reused during the walk
		parent, err := parentOf(pid)
		if err != nil || parent < 1 || seen[parent] {
			return nil
		}
		chain = append(chain, parent)
		if parent == ancestor {
			return describeChain(chain)
		}
		seen[parent], pid = true, parent
	}
}

func describeChain(pids []int) []string {
	var names []string
	for _, pid := range pids {
		name, _ := processName(pid)
		names = append(names, fmt.Sprintf("%s (pid %d)", name, pid))
	}
	return names
}

// Descendants returns the current direct and indirect children of some processes, sorted. An error means that some may
// be missing.
func Descendants(roots ...int) ([]int, error) {
	if len(roots) == 1 && roots[0] == os.Getpid() && !hasChildren() {
		return nil, nil // without a look at all processes of the machine
	}
	all, err := processes()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, pid := range all {
		if parent, err := parentOf(pid); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	found := make(map[int]bool)
	for next := slices.Clone(roots); len(next) > 0; {
		pid := next[0]
		next = next[1:]
		for _, child := range children[pid] {
			if !found[child] && !slices.Contains(roots, child) {
				found[child] = true
				next = append(next, child)
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// hasChildren reports whether this process has child processes, also ones that have ended and were not waited for.
func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	return !errors.Is(err, unix.ECHILD)
}

// processes returns the ids of all visible processes.
func processes() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parentInStat(stat)
}

// parentInStat finds the parent in /proc/<pid>/stat: "42 (comm) S 1 …". comm may contain anything, even ") S 1", but no
// parenthesis follows it.
func parentInStat(stat []byte) (int, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, fmt.Errorf("parse stat %q: no parent", stat)
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, fmt.Errorf("parse stat %q: %w", stat, err)
	}
	return parent, nil
}

// procPath returns the path of a process's file in /proc; pid 0 is this process.
func procPath(pid int, file string) string {
	if pid == 0 {
		return "/proc/self/" + file
	}
	return "/proc/" + strconv.Itoa(pid) + "/" + file
}
