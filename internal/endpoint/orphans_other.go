//go:build !linux

package endpoint

import "errors"

// Started fails: only Linux has the /proc that it reads.
func Started(int) (uint64, error) { return 0, errors.ErrUnsupported }

// Orphans returns nil: only Linux has the /proc that it reads.
func Orphans() (own, perhaps []int, err error) { return nil, nil, nil }
