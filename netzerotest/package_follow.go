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

// follow registers the goroutine of each test, benchmark, fuzz test and example with the package's recording while it
// runs, to attribute flows. It returns false if package testing does not allow this.
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
			b.StopTimer() // exclude our own work from the measurement
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

// enter attributes the calling goroutine to a test until the test has ended.
func (p *PackageRecording) enter(tb testing.TB) {
	leave := p.recording.live.EnterTest(tb.Name())
	tb.Cleanup(func() { // this cleanup runs last
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

// isDying reports whether a test's cleanup runs because of a panic that will end the process. A runtime.Goexit leads to
// such a panic, in the test or in a subtest, unless FailNow or Skip called it.
func isDying(tb testing.TB) bool {
	own := hasCaller(func(f string) bool { return strings.HasPrefix(f, followedBy) })
	return unwindsBy("runtime.gopanic") || unwindsBy("runtime.Goexit") && !(own && hasFinished(tb))
}

// followedBy is the prefix of the functions that call the tests. They are on the stacks of the tests' own goroutines.
const followedBy = "github.com/netzero-dev/netzero/netzerotest.(*PackageRecording).follow."

// hasFinished reports whether a test has marked its end, as FailNow and Skip do before the goroutine exits.
func hasFinished(tb testing.TB) bool {
	finished := reflect.ValueOf(tb).Elem().FieldByName("finished")
	if !finished.IsValid() || finished.Kind() != reflect.Bool {
		return tb.Failed() || tb.Skipped()
	}
	return finished.Bool()
}

// listOf returns a list inside of package testing, not a copy. It returns false if there is no list of that name and
// type.
func listOf[T any](m *testing.M, field string) ([]T, bool) {
	list := reflect.ValueOf(m).Elem().FieldByName(field)
	if !list.IsValid() || list.Type() != reflect.TypeFor[[]T]() {
		return nil, false
	}
	return unsafe.Slice((*T)(list.UnsafePointer()), list.Len()), true
}

// guard prevents m.Run from running tests. Nothing would compare their flows, so they would pass. With
// -test.parallel=0, m.Run refuses to run and prints the usage, which guard replaces with a message.
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
			panic(err) // the flag is an int
		}
	}
	set("0")
	return func() {
		set(before)
		flag.Usage = usage
	}
}

// exitWith sets the exit code of the process, for a TestMain that returns and ignores the code, and returns the code.
func exitWith(m *testing.M, code int) int {
	exit := reflect.ValueOf(m).Elem().FieldByName("exitCode")
	if exit.IsValid() && exit.Kind() == reflect.Int {
		*(*int)(unsafe.Pointer(exit.UnsafeAddr())) = code
	}
	return code
}
