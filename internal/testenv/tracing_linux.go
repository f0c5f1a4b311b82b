package testenv

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// MountTracing mounts the file system that bpftrace reads, if it is missing, until the test ends. It needs root.
func MountTracing(tb testing.TB) {
	tb.Helper()
	const dir = "/sys/kernel/tracing"
	if _, err := os.Stat(dir + "/events/syscalls"); err == nil {
		return
	}
	if err := unix.Mount("tracefs", dir, "tracefs", 0, ""); err != nil {
		tb.Fatalf("mount tracefs: %v", err)
	}
	tb.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}
