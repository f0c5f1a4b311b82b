package netzerotest

import (
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// callerPlace returns the place from which its calling function was called: "shop_test.go:31" in the package under
// test, otherwise the path from the module's root, "internal/testkit/peers.go:12". It returns "" if the place is not
// known.
func callerPlace() string {
	pcs := make([]uintptr, 1)
	if runtime.Callers(3, pcs) == 0 {
		return ""
	}
	frame, _ := runtime.CallersFrames(pcs).Next()
	return userPlace(flow.Frame{Function: frame.Function, File: frame.File, Line: frame.Line}, gotest.PackagePath(), goroutine.Module())
}

// userPlace returns the place of a call: a file name in the tested package, otherwise the path from the module's root.
func userPlace(f flow.Frame, tested, module string) string {
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
