package docker

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonicNow returns the time of CLOCK_MONOTONIC, which this package and the kernel's events use.
func monotonicNow() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("read CLOCK_MONOTONIC: " + err.Error()) // exists since Linux 2.6
	}
	return time.Duration(t.Nano())
}
