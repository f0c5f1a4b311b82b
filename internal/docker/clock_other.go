//go:build !linux

package docker

import "time"

var start = time.Now()

// monotonicNow returns the time since this process started: without recording, any clock that does not jump will do.
func monotonicNow() time.Duration { return time.Since(start) + 1 }
