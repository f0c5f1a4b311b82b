package testnet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watcher is a separate process that kills the processes inside when its owner closes the lab or ends, also by kill -9.
// Its standard input is a pipe with its other end only in the owner, so in both cases it reads the end of file.
type watcher struct {
	cmd   *exec.Cmd
	life  *os.File // the owner's end of its standard input
	ready *os.File // its standard output: a byte when it is in the namespace
}

func startWatcher(inside *namespace) (_ *watcher, err error) {
	stdin, life, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	defer stdin.Close()
	ready, stdout, err := os.Pipe()
	if err != nil {
		life.Close()
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	defer stdout.Close()
	cmd := exec.Command(selfExe)
	cmd.Args = []string{argWatch}
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0"} // otherwise a test binary built with -race sleeps for a second
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout = stdin, stdout
	cmd.ExtraFiles = []*os.File{inside.file}
	// Signals to the owner's group or from its terminal must not reach the watcher: then it is needed most.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		life.Close()
		ready.Close()
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	return &watcher{cmd: cmd, life: life, ready: ready}, nil
}

// await returns when the watcher is ready. No command may start earlier.
func (w *watcher) await() error {
	if _, err := w.ready.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("await watcher: %w", err)
	}
	return nil
}

// finish returns when no process is left inside.
func (w *watcher) finish() error {
	w.life.Close()
	w.ready.Close()
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("end processes: %w", err)
	}
	return nil
}

// watch is the watcher's main function; descriptor 3 is the namespace.
func watch() int {
	const inside = "/proc/self/fd/3"
	// It joins the namespace so that the watcher of an enclosing lab does not kill it before its work is done.
	if err := joinNamespace(inside); err != nil {
		return 1
	}
	signal.Ignore(unix.SIGPIPE)
	os.Stdout.Write([]byte{1}) // unread if the owner is gone already
	io.Copy(io.Discard, os.Stdin)
	if err := killMembers(inside); err != nil {
		return 1
	}
	return 0
}

// killMembers kills all processes of the network namespace at path except this one.
func killMembers(path string) error {
	ns, err := os.Stat(path)
	if err != nil {
		return err
	}
	// Only two consecutive empty lists prove that no process forked during the first one.
	const patience = 30 * time.Second
	for start, empty := time.Now(), 0; empty < 2; {
		found, err := killOnce(ns)
		if err != nil {
			return err
		}
		if found == 0 {
			empty++
			continue
		}
		empty = 0
		if time.Since(start) > patience {
			return errors.New("processes did not exit")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func killOnce(ns os.FileInfo) (found int, err error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if killMember(pid, ns) {
			found++
		}
	}
	return found, nil
}

// killMember kills the process if it is in the namespace. It opens the process before it checks the namespace, so that
// a process that reuses the id in between is not killed.
func killMember(pid int, ns os.FileInfo) bool {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(process)
	own, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil || !os.SameFile(own, ns) { // a zombie is in no namespace
		return false
	}
	return unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0) == nil
}
