package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountAll mounts the file systems that a test may expect of a machine.
func mountAll() error {
	var errs []error
	for _, m := range []struct{ dir, kind string }{
		{"/proc", "proc"},
		{"/sys", "sysfs"},
		{"/dev", "devtmpfs"},
		{"/dev/shm", "tmpfs"},
		{"/tmp", "tmpfs"},
		{"/run", "tmpfs"},
		{"/sys/fs/cgroup", "cgroup2"},
		{"/sys/fs/bpf", "bpf"},
		{"/sys/kernel/tracing", "tracefs"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.kind, err))
		} else if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			errs = append(errs, fmt.Errorf("mount %s on %s: %w", m.kind, m.dir, err))
		}
	}
	errs = append(errs, os.Chmod("/tmp", 0o1777))
	return errors.Join(errs...)
}

// raiseLoopback brings lo up, and adds an address of RFC 5737 to it, so that the machine has one other than loopback.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	own, err := unix.NewIfreq("lo:own")
	if err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	if err := own.SetInet4Addr([]byte{192, 0, 2, 99}); err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, own); err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	if err := own.SetInet4Addr([]byte{255, 255, 255, 255}); err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, own); err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	return nil
}

// Bits of /proc/sys/kernel/tainted, according to the kernel's admin-guide/tainted-kernels.
const (
	taintDie     = 1 << 7
	taintWarn    = 1 << 9
	taintLockups = 1 << 14
)

func readTaints() (uint64, error) {
	text, err := os.ReadFile("/proc/sys/kernel/tainted")
	if err != nil {
		return 0, fmt.Errorf("read taints: %w", err)
	}
	taints, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read taints: %w", err)
	}
	return taints & (taintDie | taintWarn | taintLockups), nil
}

// newTaints returns an error if the kernel has warned of its own code since: with our programs loaded, the cause may be
// ours.
func newTaints(before uint64) error {
	now, err := readTaints()
	if err != nil {
		return err
	}
	if now&^before != 0 {
		return fmt.Errorf("the kernel warned or oopsed while the tests ran (taint %#x)", now&^before)
	}
	return nil
}

// kernelLog returns the last warnings of the kernel.
func kernelLog() string {
	const all, most = 3, 8 << 10 // SYSLOG_ACTION_READ_ALL
	buffer := make([]byte, 1<<20)
	n, err := unix.Klogctl(all, buffer)
	if err != nil {
		return fmt.Sprintf("read kernel log: %v", err)
	}
	var warnings strings.Builder
	for line := range strings.Lines(string(buffer[:n])) {
		// KERN_WARNING and worse
		if len(line) > 3 && line[0] == '<' && '0' <= line[1] && line[1] <= '4' && line[2] == '>' {
			warnings.WriteString(line[3:])
		}
	}
	text := warnings.String()
	return strings.ToValidUTF8(text[max(0, len(text)-most):], "?")
}
