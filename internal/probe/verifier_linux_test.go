package probe

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// mostVerified limits the instructions that the verifier processes for one program; Record waits for that when it
// starts. A hundred thousand instructions take a tenth of a second, and minutes for all tests of an emulated kernel.
const mostVerified = 20_000

// A kernel in lockdown rejects the helpers that read memory. So the loader must drop their calls if there is nothing to
// read.
func TestVerifier_NoMemoryReadsWithoutLayout(t *testing.T) {
	testenv.RequireRoot(t)
	check(t, rlimit.RemoveMemlock())
	load := func(l layout) error {
		spec, err := specOf(DefaultSizes, l)
		check(t, err)
		found := 0
		for _, program := range spec.Programs {
			for i := range program.Instructions {
				call := &program.Instructions[i]
				switch asm.BuiltinFunc(call.Constant) {
				case asm.FnProbeReadKernel, asm.FnProbeReadUser, asm.FnProbeReadKernelStr:
					if call.IsBuiltinCall() {
						call.Constant = 1 << 20 // no kernel knows it
						found++
					}
				}
			}
		}
		if found == 0 {
			t.Fatal("no program reads memory: the test proves nothing")
		}
		loaded, err := ebpf.NewCollection(spec)
		if err == nil {
			loaded.Close()
		}
		return err
	}
	if err := load(layout{}); err != nil {
		t.Errorf("without a layout: %v", err)
	}
	known, err := taskLayout()
	check(t, err)
	if load(known) == nil {
		t.Error("with a layout, the unknown helper is not called")
	}
}

func TestVerifier_InstructionsProcessed(t *testing.T) {
	testenv.RequireRoot(t)
	check(t, rlimit.RemoveMemlock())
	layout, err := taskLayout()
	check(t, err)
	spec, err := specOf(DefaultSizes, layout)
	check(t, err)
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	check(t, err)
	defer loaded.Close()
	processed := regexp.MustCompile(`processed (\d+) insns`)
	for _, name := range slices.Sorted(maps.Keys(loaded.Programs)) {
		found := processed.FindStringSubmatch(loaded.Programs[name].VerifierLog)
		if found == nil {
			t.Fatalf("%s: the verifier does not log the number of instructions", name)
		}
		n, err := strconv.Atoi(found[1])
		check(t, err)
		t.Logf("%-10s %6d instructions", name, n)
		if n > mostVerified {
			t.Errorf("%s: the verifier processes %d instructions, want at most %d", name, n, mostVerified)
		}
	}
}

// mostStack is the kernel's limit for the stack of a call path.
const mostStack = 512

// Linux 5.10 rounds the stack of every function up to 32 bytes, and adds up the functions of a call path. Newer kernels
// round to less.
func TestVerifier_StackFitsOldestKernel(t *testing.T) {
	spec, err := specOf(DefaultSizes, layout{})
	check(t, err)
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if deepest, path := deepestCalls(spec.Programs[name].Instructions, name); deepest > mostStack {
			t.Errorf("%s: %d bytes of stack, want at most %d: %v", name, deepest, mostStack, path)
		} else {
			t.Logf("%-13s %d bytes: %v", name, deepest, path)
		}
	}
}

// deepestCalls returns the largest stack of a program's call paths on Linux 5.10, in bytes, and the functions on that
// path, outermost first.
func deepestCalls(program asm.Instructions, name string) (most int, in []string) {
	stack := make(map[string]int)
	calls := make(map[string][]string)
	var function string
	var copied [11]bool // registers that hold the frame pointer
	for i := range program {
		ins := &program[i]
		if f := btf.FuncMetadata(ins); f != nil {
			function, copied = f.Name, [11]bool{asm.RFP: true}
		}
		class := ins.OpCode.Class()
		switch {
		case ins.IsFunctionCall():
			calls[function] = append(calls[function], ins.Reference())
		case class.IsStore() && ins.Dst == asm.RFP, class.IsLoad() && ins.Src == asm.RFP:
			stack[function] = max(stack[function], -int(ins.Offset))
		case class.IsALU() && ins.OpCode.ALUOp() == asm.Mov:
			copied[ins.Dst] = ins.OpCode.Source() == asm.RegSource && copied[ins.Src]
		case class.IsALU() && ins.OpCode.ALUOp() == asm.Add && copied[ins.Dst]:
			stack[function] = max(stack[function], -int(ins.Constant))
			copied[ins.Dst] = false
		}
	}
	var walk func(string) (int, []string)
	walk = func(function string) (most int, in []string) {
		for _, called := range calls[function] {
			if n, path := walk(called); n > most {
				most, in = n, path
			}
		}
		in = append([]string{fmt.Sprintf("%s:%d", function, stack[function])}, in...)
		return most + (max(stack[function], 1)+31)/32*32, in
	}
	return walk(name)
}
