package launcher

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Ambient are the capabilities that the command gets: those that load and attach eBPF programs. Its children inherit
// them.
var Ambient = []int{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}

var ambientNames = map[int]string{
	unix.CAP_BPF: "CAP_BPF", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_PERFMON: "CAP_PERFMON",
}

// drop gives up all capabilities but those of [Ambient] and becomes the command's user. It changes the calling thread.
func (c *command) drop() error {
	held, err := permitted()
	if err != nil {
		return err
	}
	if unix.Getuid() != c.uid || unix.Geteuid() != c.uid || unix.Getgid() != c.gid || c.groups != nil {
		if err := c.setUser(); err != nil {
			return err
		}
	}
	keep := kept(held)
	var data [2]unix.CapUserData
	for _, n := range keep {
		word := &data[n/32]
		word.Permitted |= 1 << (n % 32)
		word.Effective, word.Inheritable = word.Permitted, word.Permitted
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("set capabilities: %w", err)
	}
	for _, n := range keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return fmt.Errorf("raise ambient capability %d: %w", n, err)
		}
	}
	return nil
}

// kept returns the capabilities of [Ambient] among those that a process has. CAP_SYS_ADMIN replaces those that it
// implies where it is all that there is: an older engine knows no other for its containers.
func kept(held uint64) []int {
	var keep []int
	for _, n := range Ambient {
		switch has := held&(1<<n) != 0; {
		case has:
			keep = append(keep, n)
		case n != unix.CAP_NET_ADMIN && held&(1<<unix.CAP_SYS_ADMIN) != 0 && !slices.Contains(keep, unix.CAP_SYS_ADMIN):
			keep = append(keep, unix.CAP_SYS_ADMIN)
		}
	}
	return keep
}

// missing returns the names of the capabilities of [Ambient] that a process with those held has no replacement for.
func missing(held uint64) []string {
	var names []string
	for _, n := range Ambient {
		if held&(1<<n) == 0 && (n == unix.CAP_NET_ADMIN || held&(1<<unix.CAP_SYS_ADMIN) == 0) {
			names = append(names, ambientNames[n])
		}
	}
	return names
}

// permitted returns the bit set of the capabilities that this thread may use.
func permitted() (uint64, error) {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), nil
}

// setUser changes the user and the groups, and keeps the permitted capabilities.
func (c *command) setUser() error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := unix.Setgroups(c.groups); err != nil {
		return fmt.Errorf("set groups: %w", err)
	}
	if err := unix.Setresgid(c.gid, c.gid, c.gid); err != nil {
		return fmt.Errorf("set group %d: %w", c.gid, err)
	}
	if err := unix.Setresuid(c.uid, c.uid, c.uid); err != nil {
		return fmt.Errorf("set user %d: %w", c.uid, err)
	}
	return nil
}

// raiseMemlock removes the limit for locked memory. Before Linux 5.11 maps count against it, and raising it takes
// CAP_SYS_RESOURCE. Where this process lacks that, the limit stays.
func raiseMemlock() error {
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("raise the limit for locked memory: %w", err)
	}
	return nil
}
