// Package goroutine distinguishes goroutines from outside the Go runtime. It sets a profiler label on them, finds the
// offsets at which an eBPF program can read that label and the call stack, and translates addresses to source lines.
//
// It depends on no Go version. It finds every offset by inspecting its own goroutines in the running program, and
// verifies the offsets on several threads. If an offset is missing or ambiguous, [Find] returns an error instead of a
// guess. Limits: Linux on amd64 and arm64; the label format of Go 1.24 and later.
package goroutine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Key is the name of the label, visible in profiles too.
const Key = "netzero"

// ErrNotFound is returned if this package cannot find the runtime's layout.
var ErrNotFound = errors.New("the layout of goroutines was not found")

// ID is the value of a label: its 8 bytes in memory order, read as one number. 0 means no label.
type ID uint64

// Unread is a reserved ID: the kernel could not read the label at that moment.
const Unread ID = 1

var ids atomic.Uint64

// NewID returns an ID that this process has not used before.
func NewID() ID {
	return ID(binary.NativeEndian.Uint64(fmt.Appendf(nil, "%08d", ids.Add(1)%1e8)))
}

// String returns the 8 bytes.
func (id ID) String() string { return string(binary.NativeEndian.AppendUint64(nil, uint64(id))) }

// parseID is the reverse of String. It returns 0 for any other text.
func parseID(s string) ID {
	if len(s) != 8 {
		return 0
	}
	return ID(binary.NativeEndian.Uint64([]byte(s)))
}

// Layout describes where the runtime keeps its data on the current goroutine of a thread. Offsets are in bytes.
type Layout struct {
	Register bool  // g is in the register that the Go ABI keeps for it (arm64), not in memory
	Slot     int64 // of the pointer to g, from the thread pointer; without Register

	Key       uint64 // the address of the label's name
	KeyLength uint64
	List      uint32 // of the list of labels, in what g points to: an address and a length

	// Within g.
	Labels, ID, Parent, Creator     uint32
	SyscallSP, SyscallPC, SyscallBP uint32

	// While a thread runs C code, g is the thread's own goroutine, with ID 0. Its M has the goroutine that called C as
	// Current. Both offsets are 0 if they are not certain.
	M, Current uint32
}

// Find returns the layout of this program. It searches once. Errors: [ErrNotFound].
func Find() (Layout, error) { return found() }

var found = sync.OnceValues(func() (Layout, error) {
	l, err := find()
	if err != nil {
		return Layout{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return l, nil
})
