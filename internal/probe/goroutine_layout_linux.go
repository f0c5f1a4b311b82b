package probe

import (
	"errors"
	"os"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// attribution says where the programs find the labels of this process's goroutines. If anything is unknown, all offsets
// are zero, and flows of overlapping recordings are not attributed to one of them.
type attribution struct {
	goroutine    bpf.RecordGoroutineLayout
	unattributed string // why all offsets are zero
}

// findAttribution finds the offsets in the kernel's BTF and in the Go runtime of this process.
func findAttribution(kernel *kernelTypes) (a attribution) {
	g, err := goroutine.Find()
	if err != nil {
		return attribution{unattributed: err.Error()}
	}
	a.goroutine = bpf.RecordGoroutineLayout{
		Slot: g.Slot, Key: g.Key, KeyLength: g.KeyLength, List: g.List,
		Labels: g.Labels, Id: g.ID, CreatorId: g.Parent, Creator: g.Creator,
		SyscallSp: g.SyscallSP, SyscallPc: g.SyscallPC, SyscallBp: g.SyscallBP, M: g.M, Current: g.Current,
	}
	var members []member
	if g.Register {
		members = append(members, member{&a.goroutine.Stack, "task_struct", [][]string{{"stack"}}})
		a.goroutine.Registers, err = registerOffset(kernel)
	} else {
		members = append(members, member{&a.goroutine.Thread, "task_struct", [][]string{{"thread", "fsbase"}}})
	}
	if err != nil {
		return attribution{unattributed: err.Error()}
	}
	if missing := findMembers(kernel, members); missing != "" {
		return attribution{unattributed: missing}
	}
	return a
}

// registerOffset returns the offset of the register that holds g on arm64, relative to the start of a task's kernel
// stack.
func registerOffset(kernel *kernelTypes) (uint32, error) {
	const register = 28
	size, ok := kernel.size("pt_regs")
	if !ok {
		return 0, errors.New("the kernel's BTF has no pt_regs")
	}
	// BTF does not contain the size of the stack. A debug kernel may have a larger one; checkGoroutines detects that.
	stack := uint32(max(16<<10, os.Getpagesize()))
	return stack - size + 8*register, nil
}
