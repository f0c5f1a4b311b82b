package probe

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf/btf"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// apart is where the programs find what tells the goroutines of this process apart. Where something is unknown all of it is
// zero, and recordings that overlap are mixed.
type apart struct {
	goroutine bpf.RecordGoroutineLayout
	mixed     string // why all is zero
}

// findFamily asks the kernel's BTF for what tells who descends from whom. Where that is missing, all of it is zero.
func findFamily(kernel *btf.Spec) (family bpf.RecordFamilyLayout, missing string) {
	missing = findMembers(kernel, []member{
		{&family.Tgid, "task_struct", [][]string{{"tgid"}}},
		{&family.Parent, "task_struct", [][]string{{"real_parent"}}},
		{&family.Signal, "task_struct", [][]string{{"signal"}}},
		{&family.Live, "signal_struct", [][]string{{"live"}}},
	})
	return family, missing
}

// findPIDNamespace asks it for what tells in which pid namespace a task is. Where that is missing, all of it is zero.
func findPIDNamespace(kernel *btf.Spec) (pidNamespace bpf.RecordPidNamespaceLayout) {
	missing := findMembers(kernel, []member{
		{&pidNamespace.ThreadPid, "task_struct", [][]string{{"thread_pid"}}},
		{&pidNamespace.Level, "pid", [][]string{{"level"}}},
		{&pidNamespace.Numbers, "pid", [][]string{{"numbers"}}},
		{&pidNamespace.Nr, "upid", [][]string{{"nr"}}},
		{&pidNamespace.Ns, "upid", [][]string{{"ns"}}},
		{&pidNamespace.Inum, "pid_namespace", [][]string{{"ns", "inum"}}},
	})
	var upid *btf.Struct
	if err := kernel.TypeByName("upid", &upid); missing != "" || err != nil {
		return bpf.RecordPidNamespaceLayout{}
	}
	pidNamespace.Upid = upid.Size
	return pidNamespace
}

// findApart asks the kernel's BTF, and the Go runtime of this process.
func findApart(kernel *btf.Spec) (a apart) {
	g, err := goroutine.Find()
	if err != nil {
		return apart{mixed: err.Error()}
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
		return apart{mixed: err.Error()}
	}
	if missing := findMembers(kernel, members); missing != "" {
		return apart{mixed: missing}
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
