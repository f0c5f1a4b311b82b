package probe

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

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

// verified is what the verifier says about an object's programs, and the rows of docs/kernels.md for it.
type verified struct {
	object string
	most   int // instructions of a program
	// the rows
	time, instructions, largest string
}

var verifiedObjects = []verified{
	{"record", mostVerified, "programs that record: time",
		"programs that record: instructions", "programs that record: instructions of the largest"},
	{"enforce", mostEnforcing, "programs that enforce: time",
		"programs that enforce: instructions", "programs that enforce: instructions of the largest"},
	{"requests", mostReading, "programs that read requests: time",
		"programs that read requests: instructions", "programs that read requests: instructions of the largest"},
}

func TestVerifier_InstructionsProcessed(t *testing.T) {
	testenv.RequireRoot(t)
	check(t, rlimit.RemoveMemlock())
	layout, err := taskLayout()
	check(t, err)
	for _, v := range verifiedObjects {
		t.Run(v.object, func(t *testing.T) { testInstructionsProcessed(t, specs(t, layout)[v.object], v) })
	}
}

func testInstructionsProcessed(t *testing.T, spec *ebpf.CollectionSpec, v verified) {
	t.Helper()
	var shortest time.Duration
	var all, largest int
	var name string
	for i := range 3 {
		logs := verifierLogs(t, spec)
		var took time.Duration
		all, largest = 0, 0
		for _, program := range slices.Sorted(maps.Keys(logs)) {
			n := numberIn(t, logs, program, `processed (\d+) insns`)
			took += time.Duration(numberIn(t, logs, program, `verification time (\d+) usec`)) * time.Microsecond
			if all += n; n > largest {
				largest, name = n, program
			}
			if i > 0 {
				continue
			}
			t.Logf("%-10s %6d instructions", program, n)
			if n > v.most {
				t.Errorf("%s: the verifier processes %d instructions, want at most %d", program, n, v.most)
			}
		}
		if i == 0 || took < shortest {
			shortest = took
		}
	}
	testenv.Measures(t, v.time, fmt.Sprintf("%d ms", shortest.Round(time.Millisecond).Milliseconds()))
	testenv.Measures(t, v.instructions, fmt.Sprint(all))
	testenv.Measures(t, v.largest, fmt.Sprintf("%d (%s)", largest, name))
}

// verifierLogs loads the programs of an object, and returns what the verifier says about each of them.
func verifierLogs(t *testing.T, spec *ebpf.CollectionSpec) map[string]string {
	t.Helper()
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
	})
	check(t, err)
	defer loaded.Close()
	logs := make(map[string]string)
	for name, program := range loaded.Programs {
		logs[name] = program.VerifierLog
	}
	return logs
}

// numberIn returns the number in the verifier's log of a program.
func numberIn(t *testing.T, logs map[string]string, program, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(logs[program])
	if found == nil {
		t.Fatalf("%s: the verifier does not log %s:\n%s", program, pattern, logs[program])
	}
	n, err := strconv.Atoi(found[1])
	check(t, err)
	return n
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
