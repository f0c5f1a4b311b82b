package probe

import (
	"fmt"
	"strings"
)

// PermissionError explains why the kernel refused to load or attach the programs. It is [ErrNotPermitted].
type PermissionError struct {
	UserNamespace bool     // this process is not in the initial user namespace
	Missing       []string // capabilities, named as in capabilities(7)
	Filtered      bool     // no capability is missing, but a seccomp filter is active
	Err           error    // the kernel's error
}

func (e *PermissionError) Error() string {
	switch {
	case e.UserNamespace:
		return fmt.Sprintf("%v: this process is in a user namespace, where capabilities do not count", ErrNotPermitted)
	case len(e.Missing) > 0:
		return fmt.Sprintf("%v: missing %s", ErrNotPermitted, strings.Join(e.Missing, ", "))
	case e.Filtered:
		return fmt.Sprintf("%v: no capability is missing, so the seccomp filter of a container forbids bpf(2)",
			ErrNotPermitted)
	}
	return fmt.Sprintf("%v: %v", ErrNotPermitted, e.Err)
}

func (e *PermissionError) Unwrap() error        { return e.Err }
func (e *PermissionError) Is(target error) bool { return target == ErrNotPermitted }
