//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package golden

import (
	"fmt"
	"os"
	"syscall"
)

// lock waits until nobody else has a directory locked. The lock goes with the process that has it, and leaves no file; what
// a process left that was killed while it had it is removed.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	removeTemporary(dir)
	return func() { d.Close() }, nil
}
