package gotest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// behindGoTest returns the standard error of the go test that runs this process, if that hides this process's output,
// or else the terminal. It returns nil if the output is not hidden, or neither can be opened.
func behindGoTest() *os.File {
	pid, found := findGoTest()
	if !found {
		return nil // somebody runs the test binary itself
	}
	isFile := false
	for _, fd := range []int{1, 2} {
		theirs, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		ours, ownErr := os.Stderr.Stat()
		if err == nil && ownErr == nil && os.SameFile(theirs, ours) {
			return nil
		}
		isFile = err == nil && theirs.Mode().IsRegular()
	}
	if f := fileOf(pid, 2); f != nil {
		return f
	}
	// Without the right to that, a pipe or a terminal can be opened again. A socket cannot, and in a file go test would
	// overwrite the line, because it has an offset of its own.
	if !isFile {
		if f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", pid), os.O_WRONLY, 0); err == nil {
			return f
		}
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return tty
}

// findGoTest returns the go test that runs this process, perhaps by -exec and `go tool` or `go run`. A program may run
// a test binary too, and another go test that program; then the program has the output.
func findGoTest() (pid int, found bool) {
	pid = os.Getppid()
	for range 16 {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		words := strings.Split(string(command), "\x00")
		if err != nil || len(words) < 2 || filepath.Base(words[0]) != "go" {
			return 0, false
		}
		if words[1] == "test" {
			return pid, true
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, false
		}
		// 42 (comm) S 1 …: comm may contain anything, but no parenthesis follows it.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 {
			return 0, false
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return 0, false
		}
	}
	return 0, false
}

// fileOf returns an open file of another process, or nil if the kernel does not allow that.
func fileOf(pid, fd int) *os.File {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(pidfd)
	n, _, errno := unix.Syscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	if errno != 0 {
		return nil
	}
	return os.NewFile(n, "standard error of go test")
}
