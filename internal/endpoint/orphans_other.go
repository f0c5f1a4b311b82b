//go:build !linux

package endpoint

import "errors"

// Started fails: it needs Linux's /proc.
func Started(int) (uint64, error) { return 0, errors.ErrUnsupported }

// Orphans returns nil: it needs Linux's /proc.
func Orphans() (own, perhaps []int, err error) { return nil, nil, nil }
