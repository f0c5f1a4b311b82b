package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Rights is what the kernel lets this process do, and what it would let programs that it starts do.
type Rights struct {
	Effective, Bounding uint64 // sets of capabilities(7)
	NoNewPrivileges     bool   // a program that it starts gets no more, sudo neither
	Filtered            bool   // a seccomp filter is in force
	UserNamespace       bool   // it is in another than the initial one
}

// ReadRights returns the rights of this process.
func ReadRights() (Rights, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Rights{}, fmt.Errorf("read own rights: %w", err)
	}
	// The number is that of the initial namespace on every kernel. Its map of ids another one may have, too.
	namespace, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return Rights{}, fmt.Errorf("read own rights: %w", err)
	}
	r, err := parseRights(string(status))
	r.UserNamespace = namespace != "user:[4026531837]"
	return r, err
}

// parseRights reads what proc_pid_status(5) describes.
func parseRights(status string) (r Rights, err error) {
	set := func(into *uint64, value string) {
		n, parseErr := strconv.ParseUint(value, 16, 64)
		if parseErr != nil && err == nil {
			err = fmt.Errorf("read own rights: %w", parseErr)
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
		err = fmt.Errorf("read own rights: /proc/self/status names no capabilities")
	}
	return r, err
}

// Confined reports whether no program that this process starts can have the capabilities, sudo neither: as in a container.
func (r Rights) Confined() bool {
	return r.UserNamespace || r.NoNewPrivileges || len(missingOf(Capabilities(), r.Bounding)) > 0
}

// MayMount reports whether this process may mount a file system.
func (r Rights) MayMount() bool { return !r.UserNamespace && r.Effective&(1<<unix.CAP_SYS_ADMIN) != 0 }
