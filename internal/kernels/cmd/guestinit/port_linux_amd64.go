package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// outb writes a byte to an I/O port.
func outb(port uint16, value byte)

// writeDebugPort ends the machine. It returns where the kernel does not let us, as under lockdown.
func writeDebugPort(value byte) error {
	runtime.LockOSThread() // the permission is the thread's
	if err := unix.Ioperm(guest.DebugPort, 1, 1); err != nil {
		return fmt.Errorf("get permission: %w", err)
	}
	outb(guest.DebugPort, value)
	return nil
}
