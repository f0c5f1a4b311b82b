//go:build !linux || !(amd64 || arm64)

package goroutine

import "errors"

func find() (Layout, error) { return Layout{}, errors.ErrUnsupported }

// Mark does nothing: only Linux has programs that read labels.
func Mark(ID) (unmark func() ID) { return func() ID { return 0 } }

// Labels returns 0.
func Labels() uint64 { return 0 }

// Current returns 0.
func Current() uint64 { return 0 }

// Marked returns 0.
func Marked() ID { return 0 }
