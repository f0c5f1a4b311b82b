// Package guest is the protocol between a kernel test's guest and its host: the plan that the guest finds in its
// initramfs, and the records that it sends over the serial line.
//
// The kernel writes to the same line, even in the middle of a record. So each record has a number and a checksum and is
// sent twice. If both copies are damaged, [Parse] returns an error instead of an incomplete run.
package guest

import "time"

// PlanPath is where the guest finds its [Plan], as JSON.
const PlanPath = "/plan.json"

// Plan is the guest's task.
type Plan struct {
	Env   []string // of every test binary
	Tests []Test
}

// Test is one package's test binary.
type Test struct {
	Package string
	Binary  string
	Dir     string // the working directory
	Args    []string
	Timeout time.Duration // after which the guest kills it
}

// Kind is the kind of a [Record].
type Kind string

const (
	Hello  Kind = "hello"  // the first: Text is the kernel's release
	Start  Kind = "start"  // a test binary starts
	Output Kind = "output" // Text is its output
	End    Kind = "end"    // it ended; Text is the reason, empty for exit status 0
	Fault  Kind = "fault"  // an error of the guest or its kernel
	Kernel Kind = "kernel" // Text is from the kernel's log
	Done   Kind = "done"   // the last
)

// Record is one message of the guest.
type Record struct {
	Kind    Kind
	Package string `json:",omitempty"` // of Start, Output, End
	Text    string `json:",omitempty"`
}

// The values that a guest writes to its debug port at the end, and the exit status that QEMU's isa-debug-exit device
// makes of them. A kernel that panics, or a guest that powers off, ends QEMU with 0.
const (
	DebugPort    = 0xf4
	Passed       = 0x10
	Failed       = 0x11
	PassedStatus = Passed<<1 | 1
	FailedStatus = Failed<<1 | 1
)
