package netzerotest

import (
	"reflect"
	"testing"
	"unsafe"
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
			defer p.recording.capture.enter(example.Name)()
			example.F()
		}
	}
	return true
}

// enter makes the calling goroutine that of a test, until the test has ended.
func (p *PackageRecording) enter(tb testing.TB) {
	leave := p.recording.capture.enter(tb.Name())
	tb.Cleanup(func() { // the last one that runs
		if isDying(tb) {
			p.abandon()
			return
		}
		if tb.Skipped() {
			skipped.Store(true)
		}
		if hadSubtests(tb) {
			p.run.mu.Lock()
			p.run.subtests[tb.Name()] = true
			p.run.mu.Unlock()
		}
		leave()
	})
}

// isDying reports whether a test's cleanup runs because of a panic that will end the process.
func isDying(tb testing.TB) bool {
	return unwindsBy("runtime.gopanic") || unwinding() && !tb.Failed() && !tb.Skipped()
}

// listOf returns a list of package testing's as it is, not a copy; false where it has none of the name and type.
func listOf[T any](m *testing.M, field string) ([]T, bool) {
	list := reflect.ValueOf(m).Elem().FieldByName(field)
	if !list.IsValid() || list.Type() != reflect.TypeFor[[]T]() {
		return nil, false
	}
	return unsafe.Slice((*T)(list.UnsafePointer()), list.Len()), true
}

// exitWith makes the process exit with a code also where TestMain returns and disregards it, and returns the code.
func exitWith(m *testing.M, code int) int {
	exit := reflect.ValueOf(m).Elem().FieldByName("exitCode")
	if exit.IsValid() && exit.Kind() == reflect.Int {
		*(*int)(unsafe.Pointer(exit.UnsafeAddr())) = code
	}
	return code
}
