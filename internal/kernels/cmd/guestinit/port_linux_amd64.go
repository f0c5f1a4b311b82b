package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// outb writes a byte to an I/O port.
func outb(port uint16, value byte)

// allowDebugPort allows this thread to write to the port, and locks the goroutine to the thread. It has to run early: a
// kernel in lockdown gives the permission to no process, but does not revoke it either.
func allowDebugPort() error {
	runtime.LockOSThread() // the permission is the thread's
	if err := unix.Ioperm(guest.DebugPort, 1, 1); err != nil {
		return fmt.Errorf("get permission: %w", err)
	}
	return nil
}

// writeDebugPort ends the machine, if the thread has the permission.
func writeDebugPort(value byte) { outb(guest.DebugPort, value) }
