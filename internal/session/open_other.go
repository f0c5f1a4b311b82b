//go:build !linux

package session

import (
	"fmt"
	"runtime"

	"github.com/netzero-dev/netzero/internal/probe"
)

// Session is the state in which a process is recorded, which this system does not know.
type Session struct{}

// Open returns an *[Error]: eBPF needs Linux.
func Open(probe.Sizes, func([]probe.Event), func(Step, string)) (*Session, error) {
	return nil, &Error{Kernel, fmt.Errorf("%w: eBPF needs Linux, this is %s", probe.ErrNotSupported, runtime.GOOS)}
}

// Close does nothing.
func (*Session) Close() error { return nil }
