//go:build !linux

package testnet

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
)

// wire is a placeholder: only Linux has network namespaces.
type wire struct{ kind string }

func newWire() (*wire, error) { return nil, errors.ErrUnsupported }

func (*wire) addAddress(netip.Addr) error { return errors.ErrUnsupported }
func (*wire) inside(func() error) error   { return errors.ErrUnsupported }
func (*wire) outside(func() error) error  { return errors.ErrUnsupported }
func (*wire) endProcesses() error         { return nil }
func (*wire) close() error                { return nil }

func (*wire) command(ctx context.Context, _, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Err = errors.ErrUnsupported
	return cmd
}

func shutdownRead(uintptr) error { return errors.ErrUnsupported }
