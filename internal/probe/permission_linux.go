package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// PermissionError says why the kernel did not let this process load or attach the programs. It is [ErrNotPermitted].
type PermissionError struct {
	Missing []string // capabilities, as capabilities(7) names them
	Err     error    // what the kernel refused
}

func (e *PermissionError) Error() string {
	if len(e.Missing) > 0 {
		return fmt.Sprintf("%v: missing %s", ErrNotPermitted, strings.Join(e.Missing, ", "))
	}
	if !inInitialUserNamespace() {
		return fmt.Sprintf("%v: this process is in a user namespace, whose capabilities do not count", ErrNotPermitted)
	}
	return fmt.Sprintf("%v: %v", ErrNotPermitted, e.Err)
}

func (e *PermissionError) Unwrap() error        { return e.Err }
func (e *PermissionError) Is(target error) bool { return target == ErrNotPermitted }

// classify adds what an error of the kernel amounts to: a *PermissionError or [ErrNotSupported].
func classify(err error) error {
	missing := missingCapabilities()
	switch {
	case errors.Is(err, os.ErrPermission):
		return &PermissionError{missing, err}
	case errors.Is(err, unix.EINVAL) && len(missing) > 0:
		// The verifier does not know helpers for which a capability is missing.
		return &PermissionError{missing, err}
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, link.ErrNotSupported):
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return err
}

// Capability is one of capabilities(7).
type Capability struct {
	Number uintptr
	Name   string
	stands uint64 // the set of those of which any does
}

// Capabilities returns the smallest set with which the programs load and attach on the running kernel: CAP_BPF and
// CAP_PERFMON, for which CAP_SYS_ADMIN stands too, CAP_NET_ADMIN, and before Linux 5.11, where maps count against the
// limit for locked memory, CAP_SYS_RESOURCE.
func Capabilities() []Capability {
	const admin = 1 << unix.CAP_SYS_ADMIN
	set := []Capability{
		{unix.CAP_BPF, "CAP_BPF", 1<<unix.CAP_BPF | admin},
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", 1 << unix.CAP_NET_ADMIN},
		{unix.CAP_PERFMON, "CAP_PERFMON", 1<<unix.CAP_PERFMON | admin},
	}
	release, _ := Release()
	if v, ok := parseRelease(release); ok && v.Less(Version{5, 11}) {
		set = append(set, Capability{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", 1 << unix.CAP_SYS_RESOURCE})
	}
	return set
}

// missingCapabilities returns the names of those of the capabilities that this process lacks.
func missingCapabilities() []string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	_, rest, _ := bytes.Cut(status, []byte("\nCapEff:\t"))
	hex, _, _ := bytes.Cut(rest, []byte("\n"))
	effective, err := strconv.ParseUint(string(hex), 16, 64)
	if err != nil {
		return nil
	}
	return missingOf(Capabilities(), effective)
}

func missingOf(needed []Capability, effective uint64) []string {
	var missing []string
	for _, c := range needed {
		if effective&c.stands == 0 {
			missing = append(missing, c.Name)
		}
	}
	return missing
}

// inInitialUserNamespace reports whether this process's user namespace maps every id to itself, as the initial one does.
func inInitialUserNamespace() bool {
	uids, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || strings.Join(strings.Fields(string(uids)), " ") == "0 0 4294967295"
}
