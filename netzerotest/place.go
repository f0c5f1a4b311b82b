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

// callerPlace returns where the function that calls it was called: "shop_test.go:31" in the package under test, elsewhere
// with the package's directory from the module's root, "internal/testkit/peers.go:12". It is empty where that is not known.
func callerPlace() string {
	pcs := make([]uintptr, 1)
	if runtime.Callers(3, pcs) == 0 {
		return ""
	}
	frame, _ := runtime.CallersFrames(pcs).Next()
	return userPlace(flow.Frame{Function: frame.Function, File: frame.File, Line: frame.Line}, gotest.PackagePath(), goroutine.Module())
}

// userPlace returns the place of a call as people of a package in a module look for it.
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
