//go:build !linux

package netzerotest

import (
	"fmt"
	"runtime"

	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/probe"
)

// membership is a recording's part in a capture, of which there is none on this system.
type membership struct{}

func join(*Recording) (*membership, error) {
	return nil, fmt.Errorf("%w: eBPF needs Linux, this is %s", probe.ErrNotSupported, runtime.GOOS)
}

func (*membership) flows() ([]flow.Flow, error) { return nil, nil }
func (*membership) notices() []string           { return nil }
func (*membership) check() error                { return nil }
func (*membership) leave() error                { return nil }
