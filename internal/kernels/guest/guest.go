// Package guest holds what a kernel test's guest and its host say to each other: the plan that the guest finds in its
// initramfs, and the records that it sends over the serial line.
//
// The kernel writes to the same line, in the middle of a record if need be. A record therefore has a number and a checksum
// and is sent twice, and one that is missing all the same is an error: [Parse] refuses to take a part of a run for the
// whole.
package guest

import "time"

// PlanPath is where the guest finds its [Plan], as JSON.
const PlanPath = "/plan.json"

// Plan is what the guest does.
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

// Kind is what a [Record] tells.
type Kind string

const (
	Hello  Kind = "hello"  // the first: Text is the kernel's release
	Start  Kind = "start"  // a test binary starts
	Output Kind = "output" // Text is what it wrote
	End    Kind = "end"    // it ended; Text says how unless it was with exit status 0
	Fault  Kind = "fault"  // something is wrong with the guest or its kernel
	Kernel Kind = "kernel" // Text is of the kernel's log
	Done   Kind = "done"   // the last
)

// Record is one message of the guest.
type Record struct {
	Kind    Kind
	Package string `json:",omitempty"` // of Start, Output, End
	Text    string `json:",omitempty"`
}

// The values that a guest with a debug port writes to it when it is done, and the exit status that QEMU's
// isa-debug-exit device makes of them. A kernel that panics, or a guest that powers off, ends QEMU with 0.
const (
	DebugPort    = 0xf4
	Passed       = 0x10
	Failed       = 0x11
	PassedStatus = Passed<<1 | 1
	FailedStatus = Failed<<1 | 1
)
