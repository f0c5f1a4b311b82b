package netzerotest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/netzero-dev/netzero/internal/gotest"
)

// used holds the results of this process's run.
var used = gotest.NewUse(testSource())

// skipped is set when a recorded test was skipped. Such a test may need rules that it did not use in this run.
var skipped atomic.Bool

// testSource returns the source of the package under test.
func testSource() gotest.Source { return gotest.Source(packageDir) }

// testsInSource returns the names of the functions in the package's test files.
var testsInSource = sync.OnceValue(func() map[string]bool { return testSource().Functions() })

// isPartial reports whether parts of a test, or of the package, may not have run.
func isPartial(tb host) bool {
	if p, ok := tb.(*packageRun); ok {
		return p.isPartial()
	}
	return gotest.IsPartial(tb.Name())
}

// isWhole reports whether the command line let all tests of the package run, and no recorded test was skipped.
func isWhole() bool { return gotest.IsWhole() && !skipped.Load() }

// mayHaveSkipped returns the place at which a test may have skipped a subtest, or "".
func mayHaveSkipped(tb host) string {
	if p, ok := tb.(*packageRun); ok {
		return testSource().SkipInSubtests(p.withSubtests())
	}
	if !gotest.HadSubtests(tb) {
		return ""
	}
	top, _, _ := strings.Cut(tb.Name(), "/")
	return testSource().SkipInSubtests([]string{top})
}

// watch registers the package's tests as used when they end. A test that package testing does not expose counts as not
// run.
func watch(m *testing.M) {
	if tests, ok := listOf[testing.InternalTest](m, "tests"); ok {
		for i, test := range tests {
			tests[i].F = func(t *testing.T) {
				defer endOf(t)
				test.F(t)
			}
		}
	}
	if fuzzes, ok := listOf[testing.InternalFuzzTarget](m, "fuzzTargets"); ok {
		for i, fuzz := range fuzzes {
			fuzzes[i].Fn = func(f *testing.F) {
				defer endOf(f)
				fuzz.Fn(f)
			}
		}
	}
}

func endOf(tb testing.TB) { used.Ended(tb.Name(), tb.Skipped()) }
