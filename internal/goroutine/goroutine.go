// Package goroutine tells goroutines apart from outside the Go runtime: it puts a profiler label on them, finds out where
// the runtime keeps what an eBPF program needs to read that label and the call stack, and turns addresses into lines.
//
// It knows no version of Go. Every offset is found in the running program by looking at goroutines of its own, and
// proven on several threads; where one cannot be found or is not certain, [Find] returns an error instead of a guess.
// Limits: Linux on amd64 and arm64; labels in the form that they have since Go 1.24.
package goroutine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Key is the name of the label, as it shows up in profiles too.
const Key = "netzero"

// ErrNotFound is returned where the runtime does not keep things as this package can find them.
var ErrNotFound = errors.New("the layout of goroutines was not found")

// ID is the value of a label: 8 bytes in the order in which they stand in memory, so that they are read as one number. 0 is
// no label.
type ID uint64

// Unread is the ID of nothing: it says that the kernel could not read the label at that moment.
const Unread ID = 1

var ids atomic.Uint64

// NewID returns an ID that this process has not used before.
func NewID() ID {
	return ID(binary.NativeEndian.Uint64(fmt.Appendf(nil, "%08d", ids.Add(1)%1e8)))
}

// String returns the 8 bytes.
func (id ID) String() string { return string(binary.NativeEndian.AppendUint64(nil, uint64(id))) }

// parseID is the reverse of String; 0 for what is none.
func parseID(s string) ID {
	if len(s) != 8 {
		return 0
	}
	return ID(binary.NativeEndian.Uint64([]byte(s)))
}

// Layout says where the runtime keeps what it knows of the goroutine that runs on a thread. Offsets are in bytes.
type Layout struct {
	Register bool  // g is in the register that the Go ABI keeps for it (arm64), not in memory
	Slot     int64 // of the pointer to g, from the thread pointer; without Register

	Key       uint64 // the address of the label's name
	KeyLength uint64
	List      uint32 // of the list of labels, in what g points to: an address and a length

	// Within g.
	Labels, ID, Parent, Creator     uint32
	SyscallSP, SyscallPC, SyscallBP uint32

	// While C runs on a thread, g is the thread's own goroutine, whose ID is 0: its M has the one that called C as Current.
	// Both are 0 where they are not certain.
	M, Current uint32
}

// Find returns the layout of this program. Errors: [ErrNotFound].
func Find() (Layout, error) { return found() }

var found = sync.OnceValues(func() (Layout, error) {
	l, err := find()
	if err != nil {
		return Layout{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return l, nil
})
