package gotest

import (
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// HasCaller reports whether like returns true for the name of a function on the call stack.
func HasCaller(like func(function string) bool) bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if like(frame.Function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// IsUnwinding reports whether the caller runs in a deferred call, such as a test's cleanup, because its goroutine
// panicked or exited. For a test that is still running, package testing does not report either of them yet.
func IsUnwinding() bool { return isPanicking() || isExiting() }

func isPanicking() bool { return HasCaller(func(f string) bool { return f == "runtime.gopanic" }) }
func isExiting() bool   { return HasCaller(func(f string) bool { return f == "runtime.Goexit" }) }

// EndsProcess reports whether a test's cleanup runs because of a panic that will end the process. A runtime.Goexit
// leads to such a panic, in the test or in a subtest, unless FailNow or Skip called it. caller is the prefix of the
// functions that call tests; they are on the stacks of the tests' own goroutines only.
func EndsProcess(tb outcome, caller string) bool {
	own := HasCaller(func(f string) bool { return strings.HasPrefix(f, caller) })
	return isPanicking() || isExiting() && !(own && hasFinished(tb))
}

// CallerPlace returns the place from which the calling function of its caller was called: "shop_test.go:31" in the
// package under test, otherwise the path from the module's root, "internal/testkit/peers.go:12". It returns "" if the
// place is not known.
func CallerPlace(module string) string {
	pcs := make([]uintptr, 1)
	if runtime.Callers(3, pcs) == 0 {
		return ""
	}
	frame, _ := runtime.CallersFrames(pcs).Next()
	return place(flow.Frame{Function: frame.Function, File: frame.File, Line: frame.Line}, PackagePath(), module)
}

// place returns the place of a call: a file name in the tested package, otherwise the path from the module's root.
func place(f flow.Frame, tested, module string) string {
	file := path.Base(strings.ReplaceAll(f.File, `\`, "/")) + ":" + strconv.Itoa(f.Line)
	dir := strings.TrimSuffix(f.Package(), "_test")
	if dir == tested {
		return file
	}
	if f.In(module) {
		dir = strings.TrimPrefix(strings.TrimPrefix(dir, module), "/")
	}
	return path.Join(dir, file)
}
