package cluster

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// A namespace is a network namespace without a name. It ends when its handle is closed and no process runs in it.
type namespace struct {
	handle netns.NsHandle
	links  *netlink.Handle
}

func newNamespace() (*namespace, error) {
	ns := new(namespace)
	err := onThread(func() (err error) {
		ns.handle, err = netns.New() // this moves the thread there
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create a network namespace: %w", err)
	}
	if ns.links, err = netlink.NewHandleAt(ns.handle); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink in a network namespace: %w", err), ns.handle.Close())
	}
	lo, err := ns.links.LinkByName("lo")
	if err == nil {
		err = ns.links.LinkSetUp(lo)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set lo up: %w", err), ns.close())
	}
	return ns, nil
}

func (ns *namespace) close() error {
	ns.links.Close()
	return ns.handle.Close()
}

// do calls fn on a thread in the namespace. Goroutines that fn starts run elsewhere.
func (ns *namespace) do(fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns.handle); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return fn()
	})
}

// onThread calls fn on a new thread and ends the thread, so that fn may move it to another namespace.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		done <- fn()
	}()
	return <-done
}

// sysctl sets kernel parameters of the namespace, each as "net.ipv4.ip_forward=1".
func (ns *namespace) sysctl(settings ...string) error {
	return ns.do(func() error {
		for _, s := range settings {
			name, value, _ := strings.Cut(s, "=")
			// /proc/self would be the first thread's.
			path := "/proc/thread-self/root/proc/sys/" + strings.ReplaceAll(name, ".", "/")
			if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
				return fmt.Errorf("set %s: %w", s, err)
			}
		}
		return nil
	})
}
