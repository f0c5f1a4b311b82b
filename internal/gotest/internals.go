package gotest

import (
	"reflect"
	"unsafe"
)

// This file reads unexported fields of package testing.

// TestNames returns the names of the tests, benchmarks, fuzz tests and examples of a *testing.M. It returns nil if they
// are not known.
func TestNames(m any) []string {
	var names []string
	for _, field := range []string{"tests", "benchmarks", "fuzzTargets", "examples"} {
		list := reflect.ValueOf(m).Elem().FieldByName(field)
		if list.Kind() != reflect.Slice {
			return nil
		}
		for i := range list.Len() {
			name := list.Index(i).FieldByName("Name")
			if name.Kind() != reflect.String {
				return nil
			}
			names = append(names, name.String())
		}
	}
	return names
}

// List returns a list of a *testing.M itself, not a copy: "tests", "benchmarks", "fuzzTargets" or "examples". T is the
// type of its elements. List returns false if there is no list of that name and type.
func List[T any](m any, field string) ([]T, bool) {
	list := reflect.ValueOf(m).Elem().FieldByName(field)
	if !list.IsValid() || list.Type() != reflect.TypeFor[[]T]() {
		return nil, false
	}
	return unsafe.Slice((*T)(list.UnsafePointer()), list.Len()), true
}

// SetExitCode sets the exit code of the process for a TestMain that returns without a call of os.Exit.
func SetExitCode(m any, code int) {
	exit := reflect.ValueOf(m).Elem().FieldByName("exitCode")
	if exit.IsValid() && exit.Kind() == reflect.Int {
		*(*int)(unsafe.Pointer(exit.UnsafeAddr())) = code
	}
}

// HadSubtests reports whether a test (*testing.T, *testing.B or *testing.F) has run subtests. It is false if that is
// not known.
func HadSubtests(tb any) bool {
	v := reflect.ValueOf(tb)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return false
	}
	flag := v.Elem().FieldByName("hasSub")
	if flag.IsValid() && flag.Kind() == reflect.Struct { // an atomic.Bool
		flag = flag.FieldByName("v")
	}
	return flag.IsValid() && flag.CanUint() && flag.Uint() != 0
}

// hasFinished reports whether a test has marked its end, as FailNow and Skip do before the goroutine exits.
func hasFinished(tb outcome) bool {
	finished := reflect.ValueOf(tb).Elem().FieldByName("finished")
	if !finished.IsValid() || finished.Kind() != reflect.Bool {
		return tb.Failed() || tb.Skipped()
	}
	return finished.Bool()
}

// outcome is the part of a test that shows whether it called FailNow or Skip.
type outcome interface {
	Failed() bool
	Skipped() bool
}
