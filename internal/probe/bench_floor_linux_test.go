package probe

import (
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// refuse is the label of the exit for failed helper calls. It refuses the connection, so the benchmark fails.
const refuse = "refuse"

// floorWord is a word in the memory of the process that never moves.
var floorWord uint64

// BenchmarkOnce times what the kernel takes for the first recording of a process, whatever the recording is: it
// verifies the programs, and moves the process to a cgroup and back.
func BenchmarkOnce(b *testing.B) {
	testenv.RequireRoot(b)
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			must(b, CheckLoad())
		}
	})
	b.Run("move", func(b *testing.B) {
		tree, err := cgroup.FindTree()
		must(b, err)
		for b.Loop() {
			b.StopTimer()
			time.Sleep(50 * time.Millisecond) // a move soon after another one does not wait for the other CPUs
			b.StartTimer()
			leaf, err := cgroup.NewLeaf(tree)
			must(b, err)
			must(b, leaf.Move(os.Getpid()))
			must(b, leaf.Leave())
		}
	})
}

// BenchmarkFloor times programs that see a connection and call one helper each. Ours need several of these calls.
func BenchmarkFloor(b *testing.B) {
	testenv.RequireRoot(b)
	must(b, rlimit.RemoveMemlock())
	spec, err := bpf.LoadRecord()
	must(b, err)
	flows := spec.Maps[bpf.RecordMapFlows]
	flows.MaxEntries = 1 << 20
	key, value := int16(flows.KeySize+7)/8*8, int16(flows.ValueSize+7)/8*8
	for _, floor := range []struct {
		name string
		call func(flows int) asm.Instructions
	}{
		{"nothing", func(int) asm.Instructions { return nil }},
		{"lookup", func(flows int) asm.Instructions { // of a known flow
			return append(zero(key), asm.LoadMapPtr(asm.R1, flows), asm.Mov.Reg(asm.R2, asm.RFP),
				asm.Add.Imm(asm.R2, -int32(key)), asm.FnMapLookupElem.Call(),
				asm.JEq.Imm(asm.R0, 0, refuse))
		}},
		{"update", func(flows int) asm.Instructions { // with a new flow: its key is the time
			return slices.Concat(zero(key+value), asm.Instructions{
				asm.FnKtimeGetNs.Call(), asm.StoreMem(asm.RFP, -key, asm.R0, asm.DWord),
				asm.LoadMapPtr(asm.R1, flows), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -int32(key)),
				asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -int32(key+value)),
				asm.Mov.Imm(asm.R4, 0), asm.FnMapUpdateElem.Call(),
				asm.JNE.Imm(asm.R0, 0, refuse),
			})
		}},
		{"word", func(int) asm.Instructions { // of the process's memory
			return asm.Instructions{
				asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -8), asm.Mov.Imm(asm.R2, 8),
				asm.LoadImm(asm.R3, int64(uintptr(unsafe.Pointer(&floorWord))), asm.DWord), asm.FnProbeReadUser.Call(),
				asm.JNE.Imm(asm.R0, 0, refuse),
			}
		}},
	} {
		b.Run(floor.name, func(b *testing.B) {
			known, err := ebpf.NewMap(flows)
			must(b, err)
			defer known.Close()
			must(b, known.Put(make([]byte, flows.KeySize), make([]byte, flows.ValueSize)))
			program := floor.call(known.FD())
			failed := asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol(refuse), asm.Return()}
			if len(program) == 0 {
				failed = nil // the verifier rejects unreachable code
			}
			measureProgram(b, slices.Concat(program, asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, failed))
		})
	}
}

// zero clears size bytes of the stack.
func zero(size int16) asm.Instructions {
	all := asm.Instructions{asm.Mov.Imm(asm.R0, 0)}
	for at := size; at > 0; at -= 8 {
		all = append(all, asm.StoreMem(asm.RFP, -at, asm.R0, asm.DWord))
	}
	return all
}

// measureProgram connects, and reports the run time of a program that sees it.
func measureProgram(b *testing.B, instructions asm.Instructions) {
	statistics, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	must(b, err)
	defer statistics.Close()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, Instructions: instructions,
		License: "Dual BSD/GPL",
	})
	must(b, err)
	defer program.Close()
	tree, err := cgroup.FindTree()
	must(b, err)
	leaf, err := cgroup.NewLeaf(tree)
	must(b, err)
	defer func() { must(b, leaf.Leave()) }()
	must(b, leaf.Move(os.Getpid()))
	attached, err := link.AttachCgroup(link.CgroupOptions{
		Path: tree.Root, Attach: ebpf.AttachCGroupInet4Connect, Program: program,
	})
	must(b, err)
	defer attached.Close()
	n := 0
	for b.Loop() {
		must(b, connectRefused([4]byte{127, 0, 0, 1}))
		n++
	}
	s, err := program.Stats()
	must(b, err)
	if s.RunCount < uint64(n) {
		b.Fatalf("the program ran %d times for %d connections", s.RunCount, n)
	}
	b.ReportMetric(float64(s.Runtime)/float64(s.RunCount), "connect-ns/op")
}
