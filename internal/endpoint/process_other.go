//go:build !linux

package endpoint

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ReadProcess fails with errors.ErrUnsupported: it needs Linux's /proc.
func ReadProcess(pid int) (flow.Process, error) {
	_, err := processName(pid)
	return flow.Process{}, fmt.Errorf("read process %d: %w", pid, err)
}

func processName(int) (string, error) { return "", errors.ErrUnsupported }

func alive(int) bool { return false }

// Descends returns false: it needs Linux's /proc.
func Descends(pid, ancestor int) bool { return false }

// Parents returns nil: only Linux has the /proc that it reads.
func Parents(pid, ancestor int) []string { return nil }

// Inside returns nothing: only Linux has the /proc that it reads.
func Inside(pid int) (parents []string, exec string) { return nil, "" }

// Descendants returns nil: it needs Linux's /proc.
func Descendants(roots ...int) ([]int, error) { return nil, nil }
