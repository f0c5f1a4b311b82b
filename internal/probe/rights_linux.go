package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Rights holds the privileges of this process, and those that programs started by it could gain.
type Rights struct {
	Effective, Bounding uint64 // sets of capabilities(7)
	NoNewPrivileges     bool   // programs that it starts gain no privileges, not even by sudo
	Filtered            bool   // a seccomp filter is active
	UserNamespace       bool   // it is not in the initial user namespace
}

// ReadRights returns the rights of this process.
func ReadRights() (Rights, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Rights{}, fmt.Errorf("read own capabilities: %w", err)
	}
	// The initial namespace has this inode number on every kernel. Its id map would not identify it: other namespaces
	// may have the same one.
	namespace, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return Rights{}, fmt.Errorf("read own capabilities: %w", err)
	}
	r, err := parseRights(string(status))
	r.UserNamespace = namespace != "user:[4026531837]"
	return r, err
}

// parseRights parses the format of proc_pid_status(5).
func parseRights(status string) (r Rights, err error) {
	set := func(into *uint64, value string) {
		n, parseErr := strconv.ParseUint(value, 16, 64)
		if parseErr != nil && err == nil {
			err = fmt.Errorf("read own capabilities: %w", parseErr)
		}
		*into = n
	}
	seen := 0
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch key {
		case "CapEff":
			set(&r.Effective, value)
			seen++
		case "CapBnd":
			set(&r.Bounding, value)
			seen++
		case "NoNewPrivs":
			r.NoNewPrivileges = value == "1"
		case "Seccomp":
			r.Filtered = value == "2"
		}
	}
	if err == nil && seen != 2 {
		err = fmt.Errorf("read own capabilities: /proc/self/status has no capability sets")
	}
	return r, err
}

// Confined reports whether no program that this process starts can gain the capabilities, not even by sudo, as in a
// container.
func (r Rights) Confined() bool {
	return r.UserNamespace || r.NoNewPrivileges || len(missingOf(Capabilities(), r.Bounding)) > 0
}

// Missing returns the names of the capabilities that this process lacks to record.
func (r Rights) Missing() []string { return missingOf(Capabilities(), r.Effective) }

// MayMount reports whether this process may mount a file system.
func (r Rights) MayMount() bool { return !r.UserNamespace && r.Effective&(1<<unix.CAP_SYS_ADMIN) != 0 }
