package goroutine

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// getg returns the address of the running goroutine's g.
func getg() uint64

const (
	inRegister = false
	getFS      = 0x1003 // ARCH_GET_FS of arch_prctl(2)
)

// threadPointer returns the thread pointer of the calling thread. The calling goroutine must be locked to it.
func threadPointer() (uint64, error) {
	pointer := new(uint64)
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, getFS, uintptr(unsafe.Pointer(pointer)), 0)
	runtime.KeepAlive(pointer)
	if errno != 0 {
		return 0, fmt.Errorf("read the thread pointer: %w", errno)
	}
	return *pointer, nil
}
