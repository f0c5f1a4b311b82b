//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ci

import (
	"os"
	"syscall"
)

// lock takes the exclusive lock of a file, and waits for it. The lock ends when the file is closed.
func lock(file *os.File) error {
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}
