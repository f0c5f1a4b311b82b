package launcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Client is a process that asks a launcher in a privileged container to run a command in its stead.
type Client struct {
	PID     int
	Boot    string // of its kernel
	Started string // by the clock of its kernel
	Control int    // the client's file that is one end of a socket pair; see [ToLauncher] and [ToClient]
}

// Self returns this process as a client.
func Self(control int) (Client, error) {
	boot, started, err := identity(os.Getpid())
	return Client{PID: os.Getpid(), Boot: boot, Started: started, Control: control}, err
}

// Args returns the launcher's arguments for a client that has the launcher run a command.
func (c Client) Args(command ...string) []string {
	args := []string{joinCommand, strconv.Itoa(c.PID), c.Boot, c.Started, strconv.Itoa(c.Control)}
	return append(args, command...)
}

// joinCommand is the first argument of a launcher that runs in a container.
const joinCommand = "join"

// ErrOtherKernel is returned if the client does not run on the kernel of the container: the engine is in a virtual
// machine or on another host, or the client is in a pid namespace of its own.
var ErrOtherKernel = errors.New("the client is no process of this kernel")

// answerOtherKernel tells the client [ErrOtherKernel] on the standard output: there is no control connection.
func answerOtherKernel() error { return json.NewEncoder(os.Stdout).Encode(ToClient{OtherKernel: true}) }

// join runs the command of a client from inside a container: in the client's namespaces and cgroup, with its standard
// streams, directory, environment and user. It returns the exit status of the launcher.
func (l Launcher) join(args []string) error {
	var c Client
	var err error
	if len(args) < 5 {
		return errors.New("join: the arguments are those of Client.Args")
	}
	if c.PID, err = strconv.Atoi(args[0]); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	c.Boot, c.Started = args[1], args[2]
	if c.Control, err = strconv.Atoi(args[3]); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	pidfd, err := unix.PidfdOpen(c.PID, 0)
	if err != nil {
		return errors.Join(fmt.Errorf("join process %d: %w", c.PID, ErrOtherKernel), answerOtherKernel())
	}
	if boot, started, err := identity(c.PID); err != nil || boot != c.Boot || started != c.Started {
		return errors.Join(fmt.Errorf("join process %d: %w", c.PID, ErrOtherKernel), answerOtherKernel())
	}
	control, err := fileOf(pidfd, c.Control)
	if err != nil {
		return fmt.Errorf("join process %d: %w", c.PID, err)
	}
	answers := json.NewEncoder(control)
	cmd, done, err := l.startFor(c, pidfd, args[4:])
	if err != nil {
		return answers.Encode(ToClient{Error: err.Error()})
	}
	if err := answers.Encode(ToClient{}); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return answers.Encode(relay(cmd, done, control))
}

// relay passes signals to the command until it ends, and kills it if the client ends.
func relay(cmd *exec.Cmd, done, control *os.File) ToClient {
	go func() {
		for messages := json.NewDecoder(control); ; {
			var m ToLauncher
			if err := messages.Decode(&m); err != nil {
				_ = cmd.Process.Kill() // the client has ended
				return
			}
			_ = cmd.Process.Signal(syscall.Signal(m.Signal)) // the command may have ended
		}
	}()
	return ended(cmd, done)
}

// ended waits for the command's end, and for that of its cgroup.
func ended(cmd *exec.Cmd, done *os.File) ToClient {
	err := cmd.Wait()
	_, _ = done.Read(make([]byte, 1)) // ends when the supervisor has removed the cgroup
	if cmd.ProcessState == nil {
		return ToClient{Error: err.Error()}
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return ToClient{Ended: true, Signal: int(status.Signal())}
	}
	return ToClient{Ended: true, Status: status.ExitStatus()}
}

// startFor starts a launcher that executes the command. The file is closed when the cgroup of the command is removed.
func (l Launcher) startFor(c Client, pidfd int, command []string) (*exec.Cmd, *os.File, error) {
	var streams [3]*os.File
	for fd := range streams {
		f, err := fileOf(pidfd, fd)
		if errors.Is(err, unix.EBADF) {
			continue // closed, as the command expects it to be
		}
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		streams[fd] = f
	}
	done, held, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer held.Close()
	args := append(l[:len(l):len(l)], "-caller", strconv.Itoa(c.PID), "-dies-with-parent", "-held", "3", "--")
	cmd := exec.Command("/proc/self/exe", append(args, command...)...)
	cmd.ExtraFiles = []*os.File{held}
	if streams[0] != nil {
		cmd.Stdin = streams[0]
	}
	if streams[1] != nil {
		cmd.Stdout = streams[1]
	}
	if streams[2] != nil {
		cmd.Stderr = streams[2]
	}
	if err := startOnOwnThread(cmd, func() error { return enterNamespaces(pidfd) }); err != nil {
		return nil, nil, errors.Join(err, done.Close())
	}
	return cmd, done, nil
}

// startOnOwnThread starts a command on a thread that lives on, because the command dies with it. The thread may be
// changed before that.
func startOnOwnThread(cmd *exec.Cmd, change func() error) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		if change != nil {
			err = change()
		}
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		select {}
	}()
	return <-started
}

// enterNamespaces moves the calling thread into the namespaces of a process, but for its user namespace.
func enterNamespaces(pidfd int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads that share a directory share a mount namespace
		return os.NewSyscallError("unshare", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	return os.NewSyscallError("setns", unix.Setns(pidfd, all))
}

// fileOf returns a file that a process has open.
func fileOf(pidfd, fd int) (*os.File, error) {
	n, _, errno := unix.Syscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("pidfd_getfd", errno)
	}
	return os.NewFile(n, fmt.Sprintf("file %d of the client", fd)), nil
}

// identity returns what distinguishes a process from those of other kernels and from others that had its id: the boot
// of its kernel and its start time.
func identity(pid int) (boot, started string, err error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", "", err
	}
	stat, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return "", "", err
	}
	const startTime = 22 - 3 // the fields after the name begin with the third one
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= startTime {
		return "", "", fmt.Errorf("parse stat of process %d", pid)
	}
	return strings.TrimSpace(string(text)), string(fields[startTime]), nil
}
