package launcher

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// superviseCommand is the first argument of a supervisor; its stage and the number of its files follow. The files, from
// 3 on, are the directory of a delegated cgroup, the pidfd of the command, and one that it only keeps open.
const superviseCommand = "supervise"

// The stages of a supervisor: the first one starts the second one and ends, so that no process waits for that.
const (
	starting = "starting"
	detached = "detached"
)

// startSupervisor starts a process that removes the cgroup when this process ends, as whatever program it is then. The
// supervisor is no descendant of this process, so that the command does not find a child that it did not start. It
// keeps held open, if that is not nil.
func (l Launcher) startSupervisor(d *cgroup.Delegated, held *os.File) error {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("start supervisor: %w", os.NewSyscallError("pidfd_open", err))
	}
	files := []*os.File{d.Lock, os.NewFile(uintptr(pidfd), "pidfd")}
	defer files[1].Close()
	if held != nil {
		files = append(files, held)
	}
	if err := l.supervisor(files, starting).Run(); err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	return nil
}

// supervisor returns a command that runs this program as a supervisor, in a session of its own and without the standard
// streams: a program that reads them does not wait for the supervisor.
func (l Launcher) supervisor(files []*os.File, stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append(l[:len(l):len(l)], superviseCommand, stage, strconv.Itoa(len(files)))...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// supervise is a supervisor, in one of its stages.
func (l Launcher) supervise(args []string) error {
	errUsage := errors.New("supervise: only the launcher starts supervisors")
	if len(args) != 2 {
		return errUsage
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 2 {
		return errUsage
	}
	var files []*os.File
	for fd := range n {
		files = append(files, os.NewFile(uintptr(3+fd), "inherited"))
	}
	d, err := cgroup.DelegatedAt(files[0], os.Getuid())
	if err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	if args[0] == starting {
		return l.supervisor(files, detached).Start()
	}
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(files[1].Fd()), Events: unix.POLLIN}}, -1)
		if err == nil {
			return d.Remove()
		}
		if !errors.Is(err, unix.EINTR) {
			return errors.Join(fmt.Errorf("supervise: %w", os.NewSyscallError("poll", err)), d.Remove())
		}
	}
}
