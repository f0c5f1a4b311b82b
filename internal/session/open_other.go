//go:build !linux

package session

import (
	"fmt"
	"runtime"

	"github.com/netzero-dev/netzero/internal/probe"
)

// Session is the state in which a process is recorded. Only Linux has it.
type Session struct{}

// Open returns an *[Error]: eBPF needs Linux.
func Open(probe.Sizes, probe.Handler, func(Step, string)) (*Session, error) {
	return nil, CheckPrograms()
}

// CheckPrograms returns the same *[Error].
func CheckPrograms() error {
	return &Error{Kernel, fmt.Errorf("%w: eBPF needs Linux, this is %s", probe.ErrNotSupported, runtime.GOOS)}
}

// Executables returns nothing.
func (*Session) Executables() (who, why string) { return "", "" }

// AttributionGaps returns nothing.
func (*Session) AttributionGaps() (goroutines, children string) { return "", "" }

// IsLaunched returns false: only Linux has cgroups.
func IsLaunched() bool { return false }

func ownRights() (confined, mayMount bool) { return false, false }

// Close does nothing.
func (*Session) Close() error { return nil }
