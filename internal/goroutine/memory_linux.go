//go:build amd64 || arm64

package goroutine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// memory is a file descriptor that reads this process's memory at any address without faulting.
type memory int

func openMemory() (memory, error) {
	fd, err := syscall.Open("/proc/self/mem", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open memory of this process: %w", err)
	}
	return memory(fd), nil
}

func (m memory) close() { _ = syscall.Close(int(m)) }

// words are consecutive 8-byte words.
type words []uint64

// systemCall is syscall.Syscall6, which tells the runtime about the call, or syscall.RawSyscall6, which does not.
type systemCall func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

// read reads n bytes, or as many as are mapped.
//
//go:noinline
func (m memory) read(call systemCall, address uint64, n int) []byte {
	if n == 0 {
		return nil
	}
	buffer := make([]byte, n)
	got, _, errno := call(syscall.SYS_PREAD64, uintptr(m), uintptr(unsafe.Pointer(&buffer[0])), uintptr(n),
		uintptr(address), 0, 0)
	runtime.KeepAlive(buffer)
	if errno != 0 {
		return nil
	}
	return buffer[:got]
}

// words reads n words, or as many as are mapped.
func (m memory) words(address uint64, n int) words {
	return wordsOf(m.read(syscall.RawSyscall6, address, 8*n))
}

// text reads a string; "" if it cannot be read completely.
func (m memory) text(address, n uint64) string {
	if n == 0 || n > maxText {
		return ""
	}
	if b := m.read(syscall.RawSyscall6, address, int(n)); uint64(len(b)) == n {
		return string(b)
	}
	return ""
}

const maxText = 1 << 16

func wordsOf(b []byte) words {
	w := make(words, len(b)/8)
	for i := range w {
		w[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return w
}

// at returns the word at an offset in bytes; 0 beyond the end.
func (w words) at(offset uint32) uint64 {
	if i := int(offset / 8); i < len(w) {
		return w[i]
	}
	return 0
}

// offsets are candidate offsets in bytes.
type offsets map[uint32]bool

// offsetsWhere returns the offsets of the words for which holds is true.
func offsetsWhere(w words, holds func(word uint64) bool) offsets {
	o := make(offsets)
	for i, word := range w {
		if holds(word) {
			o[uint32(8*i)] = true
		}
	}
	return o
}

// and returns the intersection. A nil o stands for all offsets.
func (o offsets) and(other offsets) offsets {
	if o == nil {
		return other
	}
	both := make(offsets)
	for offset := range o {
		if other[offset] {
			both[offset] = true
		}
	}
	return both
}

// only returns the single remaining candidate.
func (o offsets) only(what string) (uint32, error) {
	if len(o) != 1 {
		return 0, fmt.Errorf("%d candidate offsets for %s", len(o), what)
	}
	for offset := range o {
		return offset, nil
	}
	panic("unreachable")
}
