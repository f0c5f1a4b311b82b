package environments

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// faults are the faults of an environment. They apply to this thread, in a separate mount namespace.
var faults = map[string]func(argument string) error{
	// The kernel then reports version 2.6.40 or higher, as it does for old programs.
	"below-floor": func(string) error {
		const uname26 = 0x0020000
		if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, uname26, 0, 0); errno != 0 {
			return errno
		}
		return nil
	},
	"no-btf": func(string) error { return unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, "") },
	"read-only": func(string) error {
		tree, err := cgroup.FindTree()
		if err != nil {
			return err
		}
		return unix.Mount("", tree.Root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	},
	"no-tree": func(string) error {
		for {
			tree, err := cgroup.FindTree()
			if errors.Is(err, cgroup.ErrNoTree) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := unix.Unmount(tree.Root, unix.MNT_DETACH); err != nil {
				return err
			}
		}
	},
	// This is the advice for no-tree.
	"mounted": func(string) error {
		// A tmpfs, so that no directory remains.
		if err := os.MkdirAll("/run", 0o755); err != nil {
			return err
		}
		if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
			return err
		}
		if err := os.MkdirAll("/run/cgroup2", 0o755); err != nil {
			return err
		}
		return unix.Mount("none", "/run/cgroup2", "cgroup2", 0, "")
	},
	"user": func(string) error {
		return errors.Join(unix.Setgroups(nil), unix.Setgid(nobody), unix.Setuid(nobody))
	},
	"cgroup-namespace": func(string) error { return unix.Unshare(unix.CLONE_NEWCGROUP) },
	"no-new-privs":     func(string) error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) },
	"bpf-filtered":     func(string) error { return filterBPF() },
	// Root with a set of capabilities, in hexadecimal digits. Dropping the others from the bounding set keeps exec from
	// granting them to root again.
	"bounded": func(set string) error {
		kept, err := strconv.ParseUint(set, 16, 64)
		if err != nil {
			return err
		}
		for c := range 64 {
			if kept&(1<<c) != 0 {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); errors.Is(err, unix.EINVAL) {
				break // the kernel has no such capability
			} else if err != nil {
				return err
			}
		}
		return nil
	},
}

// filterBPF makes bpf(2) fail with EPERM, as the filter of a container does.
func filterBPF() error {
	const bpf = unix.SYS_BPF
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: bpf, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
	runtime.KeepAlive(program)
	if err != nil {
		return fmt.Errorf("set filter: %w", err)
	}
	return nil
}
