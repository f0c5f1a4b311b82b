//go:build !linux

package endpoint

import (
	"errors"
	"fmt"
)

func readSockets(int) (tcp, udp socketTable, err error) {
	return nil, nil, fmt.Errorf("read listeners: %w", errors.ErrUnsupported)
}

func networkOf(int) string { return "" }

func socketsOf(int) []uint64 { return nil }

func processes() ([]int, error) { return nil, nil }
