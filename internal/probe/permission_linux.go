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

// missingCapabilities returns those of the capabilities that recording needs which this process lacks.
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
	return missingOf(effective)
}

// missingOf tells what is missing in a set: CAP_SYS_ADMIN stands for the two that were split off it in Linux 5.8.
func missingOf(effective uint64) []string {
	has := func(c int) bool { return effective&(1<<c) != 0 }
	var missing []string
	if !has(unix.CAP_BPF) && !has(unix.CAP_SYS_ADMIN) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(unix.CAP_NET_ADMIN) {
		missing = append(missing, "CAP_NET_ADMIN")
	}
	if !has(unix.CAP_PERFMON) && !has(unix.CAP_SYS_ADMIN) {
		missing = append(missing, "CAP_PERFMON")
	}
	return missing
}

// inInitialUserNamespace reports whether this process's user namespace maps every id to itself, as the initial one does.
func inInitialUserNamespace() bool {
	uids, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || strings.Join(strings.Fields(string(uids)), " ") == "0 0 4294967295"
}
