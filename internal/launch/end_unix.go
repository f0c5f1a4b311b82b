//go:build unix

package launch

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// endBySignal ends this process by a signal, as the command ended.
func endBySignal(s syscall.Signal) {
	signal.Reset()
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the core is the command's
	_ = unix.Kill(os.Getpid(), s)
	os.Exit(128 + int(s)) // a signal that does not end a Go program, such as SIGPROF
}

// execute executes a command in place of this process. It returns only if that fails.
func execute(path string, command []string) error {
	return &os.PathError{Op: "exec", Path: path, Err: unix.Exec(path, command, os.Environ())}
}

// identity is who this process is, as files see it.
type identity struct {
	uid, gid int
	groups   []int
	umask    int
}

func readIdentity() (identity, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return identity{}, err
	}
	umask := unix.Umask(0)
	unix.Umask(umask)
	return identity{os.Getuid(), os.Getgid(), groups, umask}, nil
}

// ignoreBackground makes this process find the end of the standard input, instead of stopping, if that is a terminal
// and the process is in the background.
func ignoreBackground() { signal.Ignore(syscall.SIGTTIN, syscall.SIGTTOU) }
