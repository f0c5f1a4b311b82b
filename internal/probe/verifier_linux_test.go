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

// mostEnforcing is the same limit for the programs that refuse, which only recordings with a policy to enforce load.
const mostEnforcing = 40_000

// mostReading is the same limit for the programs that read requests, which only recordings with requests load.
const mostReading = 60_000

// A kernel in lockdown rejects the helpers that read memory. So the loader must drop their calls if there is nothing to
// read.
func TestVerifier_NoMemoryReadsWithoutLayout(t *testing.T) {
	testenv.RequireRoot(t)
	check(t, rlimit.RemoveMemlock())
	load := func(object string, l layout) error {
		spec := specs(t, l)[object]
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
	known, err := taskLayout()
	check(t, err)
	for _, object := range []string{"record", "enforce"} {
		if err := load(object, layout{}); err != nil {
			t.Errorf("%s: without a layout: %v", object, err)
		}
		if load(object, known) == nil {
			t.Errorf("%s: with a layout, the unknown helper is not called", object)
		}
	}
}

// specs returns the collections of the programs that record, of those that refuse, and of those that read requests.
func specs(t *testing.T, layout layout) map[string]*ebpf.CollectionSpec {
	t.Helper()
	record, err := specOf(DefaultSizes, layout)
	check(t, err)
	enforce, err := enforcingSpec(DefaultSizes, layout)
	check(t, err)
	requests, err := requestsSpec(DefaultSizes)
	check(t, err)
	return map[string]*ebpf.CollectionSpec{"record": record, "enforce": enforce, "requests": requests}
}

func TestVerifier_InstructionsProcessed(t *testing.T) {
	testenv.RequireRoot(t)
	check(t, rlimit.RemoveMemlock())
	layout, err := taskLayout()
	check(t, err)
	limits := map[string]int{"record": mostVerified, "enforce": mostEnforcing, "requests": mostReading}
	for object, spec := range specs(t, layout) {
		t.Run(object, func(t *testing.T) { testInstructionsProcessed(t, spec, limits[object]) })
	}
}

func testInstructionsProcessed(t *testing.T, spec *ebpf.CollectionSpec, most int) {
	t.Helper()
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
		if n > most {
			t.Errorf("%s: the verifier processes %d instructions, want at most %d", name, n, most)
		}
	}
}

// mostStack is the kernel's limit for the stack of a call path.
const mostStack = 512

// Linux 5.10 rounds the stack of every function up to 32 bytes, and adds up the functions of a call path. Newer kernels
// round to less.
func TestVerifier_StackFitsOldestKernel(t *testing.T) {
	for object, spec := range specs(t, layout{}) {
		for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			if deepest, path := deepestCalls(spec.Programs[name].Instructions, name); deepest > mostStack {
				t.Errorf("%s: %s: %d bytes of stack, want at most %d: %v", object, name, deepest, mostStack, path)
			} else {
				t.Logf("%s: %-13s %d bytes: %v", object, name, deepest, path)
			}
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
