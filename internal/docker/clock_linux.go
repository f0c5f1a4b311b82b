package docker

import (
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic returns the time of CLOCK_MONOTONIC, which all times of this package and the kernel's events are of.
func Monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("read CLOCK_MONOTONIC: " + err.Error()) // Linux has had it since 2.6
	}
	return time.Duration(t.Nano())
}
