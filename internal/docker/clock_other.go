//go:build !linux

package docker

import "time"

var start = time.Now()

// Monotonic returns the time since this process started: without recording, any clock that does not jump will do.
func Monotonic() time.Duration { return time.Since(start) + 1 }
