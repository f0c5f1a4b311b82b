package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// outb writes a byte to an I/O port.
func outb(port uint16, value byte)

// allowDebugPort lets this thread, to which it ties its goroutine, write to the port. It has to come early: a kernel that
// a test has locked down gives nobody the permission any more, but takes it from nobody either.
func allowDebugPort() error {
	runtime.LockOSThread() // the permission is the thread's
	if err := unix.Ioperm(guest.DebugPort, 1, 1); err != nil {
		return fmt.Errorf("get permission: %w", err)
	}
	return nil
}

// writeDebugPort ends the machine, where the thread has the permission.
func writeDebugPort(value byte) { outb(guest.DebugPort, value) }
