// Package gotest describes how go test runs this test binary: the command line that repeats the run, the tests that
// flags leave out, the tests that ran, and the places at which a subtest may have skipped itself.
//
// It reads flags, build information, the source of test files and, by reflection, unexported fields of package testing.
// It does not import package testing. If a later version of that package lacks a field, the answer is "not known".
package gotest

import (
	"flag"
	"reflect"
	"slices"
	"strings"
)

// Flag returns the value of a flag of package testing, such as "test.run". It is empty if the flag is not declared.
func Flag(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// IsPartial reports whether flags may have kept parts of a test from running: -run with elements below the test, -skip
// or -short. A complete run may need rules that such a run did not use.
func IsPartial(test string) bool {
	if Flag("test.short") == "true" || Flag("test.skip") != "" {
		return true
	}
	return elements(Flag("test.run")) > strings.Count(test, "/")+1
}

// IsWhole reports whether the flags let all tests of the package run.
func IsWhole() bool {
	everything := []string{"", ".", ".*", "^", "Test", "^Test"}
	return Flag("test.short") != "true" && slices.Contains(everything, Flag("test.run")) && Flag("test.skip") == "" &&
		Flag("test.list") == "" && Flag("test.fuzz") == "" && Flag("test.count") != "0"
}

// elements counts the elements of a pattern of -run, separated by slashes. Slashes in brackets do not separate. The
// longest alternative counts.
func elements(pattern string) int {
	most, n, brackets := 0, 1, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[' || c == '(':
			brackets++
		case c == ']' || c == ')':
			brackets = max(brackets-1, 0)
		case c == '/' && brackets == 0:
			n++
		case c == '|' && brackets == 0:
			most, n = max(most, n), 1
		}
	}
	return max(most, n)
}

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
