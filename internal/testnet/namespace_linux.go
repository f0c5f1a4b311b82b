package testnet

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ownNetns is the network namespace of the thread that opens it.
const ownNetns = "/proc/thread-self/ns/net"

// namespace is a network namespace without a name: it lives as long as a descriptor, a process or a socket refers to
// it.
type namespace struct {
	file *os.File
}

func newNamespace() (*namespace, error) {
	ns := new(namespace)
	create := func() error { return unix.Unshare(unix.CLONE_NEWNET) }
	keep := func() (err error) {
		ns.file, err = os.Open(ownNetns)
		return err
	}
	if err := elsewhere(create, keep); err != nil {
		return nil, fmt.Errorf("create network namespace: %w", err)
	}
	return ns, nil
}

// again returns a second reference to the same namespace, which the caller closes.
func (ns *namespace) again() (*namespace, error) {
	file, err := os.Open(ns.path())
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	return &namespace{file}, nil
}

// do calls fn on a thread in the namespace, and on the calling goroutine, so that a test can fail within fn.
func (ns *namespace) do(fn func() error) error {
	enter := func() error { return unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET) }
	return elsewhere(enter, fn)
}

// path returns the path at which a child process finds the namespace while this process keeps it open.
func (ns *namespace) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd())
}

func (ns *namespace) close() error { return ns.file.Close() }

// elsewhere calls enter, which moves the thread to another network namespace, then fn, and moves the thread back.
func elsewhere(enter, fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	origin, err := os.Open(ownNetns)
	if err != nil {
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer origin.Close()
	if err := enter(); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	defer func() {
		if err := unix.Setns(int(origin.Fd()), unix.CLONE_NEWNET); err != nil {
			// One more lock than unlocks: the thread ends with its goroutine and never runs other code.
			runtime.LockOSThread()
			panic(fmt.Sprintf("leave network namespace: %v", err))
		}
	}()
	return fn()
}
