//go:build !linux

package kernels

import (
	"errors"
	"fmt"
	"os/exec"
)

func lock(string) (func(), error) {
	return nil, fmt.Errorf("fetch kernels: %w: Debian's apt is needed", errors.ErrUnsupported)
}

func runBound(cmd *exec.Cmd) error { return cmd.Run() }
