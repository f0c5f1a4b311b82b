package escapes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

const viaTCP = "host:443/TCP"

// leftBehind is the failure message for flows that an ended test left behind.
const leftBehind = "had ended, but a goroutine or process that it left running opened this"

var processWays = []way{
	{name: "fork without exec", want: viaTCP, open: forked},
	{name: "child (vfork and exec, as os/exec does)", want: viaTCP,
		open: func(to host) error { return run(self("tcp", to)) }},
	{name: "child of a child", want: viaTCP, open: func(to host) error { return run(self("child of a child", to)) }},
	{name: "another thread", want: viaTCP, open: otherThread},
	{name: "orphan (double fork)", want: viaTCP,
		open: func(to host) error { return orphaned("leave an orphan", to) }},
	{name: "new session (setsid)", want: viaTCP, open: func(to host) error {
		return runWith(to, &syscall.SysProcAttr{Setsid: true})
	}},
	{name: "another user (setuid)", want: viaTCP, open: func(to host) error {
		return runWith(to, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	}},
	{name: "static binary", want: viaTCP, open: static},
	{name: "new PID namespace", want: viaTCP, open: func(to host) error {
		return runWith(to, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID})
	}},
	{name: "new user namespace", want: viaTCP, open: func(to host) error {
		return runWith(to, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER})
	}},
	{name: "new cgroup namespace", want: viaTCP, open: func(to host) error {
		return runWith(to, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWCGROUP})
	}},
	{name: "all new namespaces except the network namespace", want: viaTCP, open: func(to host) error {
		const all = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
			unix.CLONE_NEWCGROUP
		return runWith(to, &syscall.SysProcAttr{Cloneflags: all})
	}},
	{name: "earlier daemon", want: viaTCP, endedFailure: leftBehind,
		early: func(to host) (func() error, error) { return waiting("wait", to) }},
	{name: "earlier daemon, orphaned", want: viaTCP, endedFailure: leftBehind,
		unseenBefore: "another process with the test's environment may have started it; a line says so",
		early: func(to host) (func() error, error) {
			return waiting("leave a daemon", to)
		}},
	{name: "earlier daemon, orphaned, with another environment and session", want: viaTCP, endedFailure: leftBehind,
		unseenBefore: "nothing distinguishes it from an unrelated process", early: func(to host) (func() error, error) {
			return waiting("leave a disguised daemon", to)
		}},

	{name: "child moves itself to another cgroup", want: viaTCP,
		open: func(to host) error { return run(self("move", to)) }},
	{name: "child starts in another cgroup (clone3 into cgroup)", want: viaTCP, open: startedInOtherCgroup},
	{name: "child of a child that has moved to another cgroup", want: viaTCP,
		open: func(to host) error { return run(self("move, then child", to)) }},
	{name: "cgroup below the test's", want: viaTCP, open: func(to host) error { return run(self("move down", to)) }},
	{name: "child moves itself to an earlier cgroup", want: viaTCP, early: func(to host) (func() error, error) {
		dir, done, err := newCgroup("before")
		return func() error {
			defer done()
			cmd := self("move to", to)
			cmd.Env = append(os.Environ(), cgroupVariable+"="+dir)
			return run(cmd)
		}, err
	}},
}

func init() {
	children["child of a child"] = func(to host) error { return run(self("tcp", to)) }
	children["leave an orphan"] = func(to host) error { return leave("tcp", to) }
	children["wait"] = waitForWord
	children["leave a daemon"] = func(to host) error { return leave("wait", to) }
	children["leave a disguised daemon"] = func(to host) error { return leave("wait", to, "DISGUISED=1") }
	children["move"] = func(to host) error {
		return inNewCgroup("moved", func() error { return talkTCP(to.tcp4()) })
	}
	children["move, then child"] = func(to host) error {
		return inNewCgroup("moved", func() error { return run(self("tcp", to)) })
	}
	children["move down"] = moveDown
	children["move to"] = func(to host) error {
		home, err := moveTo(os.Getenv(cgroupVariable))
		if err != nil {
			return err
		}
		return errors.Join(talkTCP(to.tcp4()), home())
	}
}

func runWith(to host, attributes *syscall.SysProcAttr) error {
	cmd := self("tcp", to)
	cmd.SysProcAttr = attributes
	return run(cmd)
}

// forked connects in a copy of this process.
func forked(to host) error {
	pid, errno := forkAndConnect(to.v4.As4(), 443)
	if errno != 0 {
		return errno
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Exited() {
		return fmt.Errorf("the copy ended with %v: %w", status, err)
	}
	if errno := status.ExitStatus(); errno != 0 {
		return fmt.Errorf("the copy: %w", unix.Errno(errno))
	}
	return nil
}

// forkAndConnect starts a copy of this process, with one thread and without exec, that connects to a port. It needs
// nothing of Go's runtime, not even stack.
//
//go:nosplit
//go:norace
func forkAndConnect(to [4]byte, port uint16) (pid int, errno syscall.Errno) {
	address := syscall.RawSockaddrInet4{Family: syscall.AF_INET, Addr: to, Port: port<<8 | port>>8}
	r, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if r != 0 || errno != 0 {
		return int(r), errno
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	}
	syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	return 0, errno // never reached
}

// otherThread connects on a thread that ends with its goroutine.
func otherThread(to host) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- talkTCP(to.tcp4())
	}()
	return <-ended
}

// static runs a static executable: a small one, or this one if it is static.
func static(to host) error {
	if program := os.Getenv(staticVariable); program != "" {
		return run(exec.Command(program, "dial", to.tcp4().String()))
	}
	return run(self("tcp", to))
}

// orphaned runs a child with a child that outlives it. The orphan inherits the output, so the output ends with the
// orphan.
func orphaned(what string, to host) error {
	out, err := self(what, to).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// leave starts a child in a new session, with more environment, and ends.
func leave(what string, to host, env ...string) error {
	cmd := self(what, to)
	if len(env) > 0 {
		cmd.Env = append(os.Environ(), env...)
	}
	cmd.Args = append(cmd.Args, fmt.Sprint(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

const (
	cgroupVariable = "ESCAPES_CGROUP"
	staticVariable = "ESCAPES_STATIC"
)

// daemonDone is the line with which a daemon that has connected ends.
const daemonDone = "done\n"

// waitForWord writes a line, waits for a line, connects, and writes another line.
func waitForWord(to host) error {
	fmt.Println("there")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("await the word: %w", err)
	}
	if err := talkTCP(to.tcp4()); err != nil {
		return err
	}
	fmt.Print(daemonDone)
	return nil
}

// waiting starts a child that connects on a signal. A grandchild may inherit its pipes.
func waiting(what string, to host) (func() error, error) {
	cmd := self(what, to)
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = stdin
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stdin.Close()
	stdout.Close()
	go cmd.Wait()
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("await the daemon: %w", err)
	}
	return func() error {
		defer out.Close()
		defer in.Close()
		_, err := io.WriteString(in, "go\n")
		line := ""
		if err == nil {
			line, err = lines.ReadString('\n')
		}
		if err != nil {
			return fmt.Errorf("await what the daemon does: %w", err)
		}
		if line != daemonDone {
			return fmt.Errorf("the daemon: %s", line)
		}
		_, err = io.Copy(io.Discard, out) // until the output ends
		return err
	}, nil
}

// newCgroup makes a cgroup outside of those that are recorded.
func newCgroup(name string) (dir string, remove func(), err error) {
	tree, err := cgroup.FindTree()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(tree.Root, fmt.Sprintf("escapes-%s-%d", name, os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", nil, err
	}
	return dir, func() { removeCgroup(dir) }, nil
}

// removeCgroup removes a cgroup after its last process has ended.
func removeCgroup(dir string) {
	for end := time.Now().Add(patience); os.Remove(dir) != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// moveTo moves this process to a cgroup, and returns a function that moves it back.
func moveTo(dir string) (back func() error, err error) {
	tree, err := cgroup.FindTree()
	if err != nil {
		return nil, err
	}
	home, err := tree.Current()
	if err != nil {
		return nil, err
	}
	enter := func(dir string) error { return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0) }
	return func() error { return enter(home) }, enter(dir)
}

// inNewCgroup calls use in a new cgroup, and then removes it.
func inNewCgroup(name string, use func() error) error {
	dir, remove, err := newCgroup(name)
	if err != nil {
		return err
	}
	defer remove()
	home, err := moveTo(dir)
	if err != nil {
		return err
	}
	return errors.Join(use(), home())
}

func moveDown(to host) error {
	tree, err := cgroup.FindTree()
	if err != nil {
		return err
	}
	home, err := tree.Current()
	if err != nil {
		return err
	}
	dir := filepath.Join(home, "below")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer removeCgroup(dir)
	back, err := moveTo(dir)
	if err != nil {
		return err
	}
	return errors.Join(talkTCP(to.tcp4()), back())
}

func startedInOtherCgroup(to host) error {
	dir, remove, err := newCgroup("started")
	if err != nil {
		return err
	}
	defer remove()
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	return runWith(to, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())})
}
