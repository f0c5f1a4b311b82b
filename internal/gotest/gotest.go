// Package gotest describes how go test runs this test binary: the command line that repeats the run, the tests that
// flags leave out, the tests that ran, how a test ended, and the places at which a subtest may have skipped itself. For
// the run of a whole package, which package testing has no value for, it logs and fails: see [PackageRun].
//
// It reads flags, build information, the call stack, the source of test files and, by reflection, unexported fields of
// package testing. It does not import package testing. If a later version of that package lacks a field, the answer is
// "not known".
package gotest

import (
	"flag"
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

// Artifacts returns the directory for the artifacts of a test, a value of type *testing.T. It is empty unless go test
// has the flag -artifacts, which Go 1.26 introduced.
func Artifacts(test any) string {
	t, has := test.(interface{ ArtifactDir() string })
	if !has || Flag("test.artifacts") != "true" {
		return ""
	}
	return t.ArtifactDir()
}

// isVerbose reports whether -v is set, for people or for test2json.
func isVerbose() bool { return slices.Contains([]string{"true", "test2json"}, Flag("test.v")) }

// IsPartial reports whether flags may have kept parts of a test from running: -run with elements below the test, -skip
// or -short. A complete run may need rules that such a run did not use.
func IsPartial(test string) bool {
	if Flag("test.short") == "true" || Flag("test.skip") != "" {
		return true
	}
	return elements(Flag("test.run")) > strings.Count(test, "/")+1
}

// isWhole reports whether the flags let all tests of the package run.
func isWhole() bool {
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
