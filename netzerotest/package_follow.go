package netzerotest

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/netzero-dev/netzero/internal/gotest"
)

// follow makes the goroutine of each test, benchmark, fuzz test and example known to the package's recording while it runs,
// so that what they open is told apart. It reports false where package testing does not let us do so.
func (p *PackageRecording) follow(m *testing.M) bool {
	tests, ok1 := listOf[testing.InternalTest](m, "tests")
	benchmarks, ok2 := listOf[testing.InternalBenchmark](m, "benchmarks")
	fuzzes, ok3 := listOf[testing.InternalFuzzTarget](m, "fuzzTargets")
	examples, ok4 := listOf[testing.InternalExample](m, "examples")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return false
	}
	for i, test := range tests {
		tests[i].F = func(t *testing.T) {
			p.enter(t)
			test.F(t)
		}
	}
	for i, benchmark := range benchmarks {
		benchmarks[i].F = func(b *testing.B) {
			b.StopTimer() // what we do is not what it measures
			p.enter(b)
			b.StartTimer()
			benchmark.F(b)
		}
	}
	for i, fuzz := range fuzzes {
		fuzzes[i].Fn = func(f *testing.F) {
			p.enter(f)
			fuzz.Fn(f)
		}
	}
	for i, example := range examples {
		examples[i].F = func() {
			defer p.recording.live.EnterTest(example.Name)()
			example.F()
		}
	}
	return true
}

// enter makes the calling goroutine that of a test, until the test has ended.
func (p *PackageRecording) enter(tb testing.TB) {
	leave := p.recording.live.EnterTest(tb.Name())
	tb.Cleanup(func() { // the last one that runs
		if isDying(tb) {
			p.abandon()
			return
		}
		if tb.Skipped() {
			skipped.Store(true)
		}
		if gotest.HadSubtests(tb) {
			p.run.mu.Lock()
			p.run.subtests[tb.Name()] = true
			p.run.mu.Unlock()
		}
		leave()
	})
}

// isDying reports whether a test's cleanup runs because of a panic that will end the process, as one does that comes of
// runtime.Goexit, in the test or in a subtest.
func isDying(tb testing.TB) bool {
	own := hasCaller(func(f string) bool { return strings.HasPrefix(f, followedBy) })
	return unwindsBy("runtime.gopanic") || unwindsBy("runtime.Goexit") && !(own && hasFinished(tb))
}

// followedBy begins the names of the functions that call the tests: they are on the stacks of the tests' own goroutines.
const followedBy = "github.com/netzero-dev/netzero/netzerotest.(*PackageRecording).follow."

// hasFinished reports whether a test whose goroutine exits has told package testing so, as by FailNow or Skip.
func hasFinished(tb testing.TB) bool {
	finished := reflect.ValueOf(tb).Elem().FieldByName("finished")
	if !finished.IsValid() || finished.Kind() != reflect.Bool {
		return tb.Failed() || tb.Skipped()
	}
	return finished.Bool()
}

// listOf returns a list of package testing's as it is, not a copy; false where it has none of the name and type.
func listOf[T any](m *testing.M, field string) ([]T, bool) {
	list := reflect.ValueOf(m).Elem().FieldByName(field)
	if !list.IsValid() || list.Type() != reflect.TypeFor[[]T]() {
		return nil, false
	}
	return unsafe.Slice((*T)(list.UnsafePointer()), list.Len()), true
}

// guard keeps package testing from running tests before Run does, which nobody would judge: their policy would be green. m.Run
// refuses to run none in parallel, and then says how the program is used, in our words.
func (p *PackageRecording) guard() (unguard func()) {
	parallel, usage := flag.Lookup("test.parallel"), flag.Usage
	before := parallel.Value.String()
	flag.Usage = func() {
		if !hasCaller(func(f string) bool { return f == "testing.(*M).Run" }) {
			usage()
			return
		}
		fmt.Fprintln(os.Stderr, "netzero: RecordPackage was called, but not the method Run of what it returns: TestMain has to call it in place of m.Run")
		p.abandon()
	}
	set := func(value string) {
		if err := parallel.Value.Set(value); err != nil {
			panic(err) // it is an int
		}
	}
	set("0")
	return func() {
		set(before)
		flag.Usage = usage
	}
}

// exitWith makes the process exit with a code also where TestMain returns and disregards it, and returns the code.
func exitWith(m *testing.M, code int) int {
	exit := reflect.ValueOf(m).Elem().FieldByName("exitCode")
	if exit.IsValid() && exit.Kind() == reflect.Int {
		*(*int)(unsafe.Pointer(exit.UnsafeAddr())) = code
	}
	return code
}
