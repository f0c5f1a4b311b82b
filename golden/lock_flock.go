//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package golden

import (
	"fmt"
	"os"
	"syscall"
)

// lock takes the exclusive lock of a directory, and waits for it. The lock ends with its process, and leaves no file.
// lock removes the temporary files of processes that were killed while they held it.
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
