package probe

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf/btf"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// attribution is where the programs find what tells the goroutines of this process apart. Where something is unknown all of it is
// zero, and recordings that overlap are mixed.
type attribution struct {
	goroutine    bpf.RecordGoroutineLayout
	unattributed string // why all is zero
}

// findAttribution asks the kernel's BTF, and the Go runtime of this process.
func findAttribution(kernel *btf.Spec) (a attribution) {
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

// registerOffset returns where, from the begin of a task's stack in the kernel, the register is in which a process on
// arm64 has its goroutine.
func registerOffset(kernel *btf.Spec) (uint32, error) {
	const register = 28
	var registers *btf.Struct
	if err := kernel.TypeByName("pt_regs", &registers); err != nil {
		return 0, fmt.Errorf("the kernel's BTF has no pt_regs: %w", err)
	}
	// Its size is in no BTF; a kernel for debugging may have larger ones, as the check then finds out.
	stack := uint32(max(16<<10, os.Getpagesize()))
	return stack - registers.Size + 8*register, nil
}
