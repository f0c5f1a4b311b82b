package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// host is what a recording needs of whom it belongs to: of a test (testing.TB), or of the run of a package.
type host interface {
	Name() string
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	Failed() bool
	Skipped() bool
	Cleanup(func())
}

var _ host = testing.TB(nil)

// isPackage reports whether a host is the run of a package.
func isPackage(tb host) bool {
	_, ok := tb.(*packageRun)
	return ok
}

// fileOf is the name by which golden.Path finds the default golden file of a host.
func fileOf(tb host) string {
	if isPackage(tb) {
		return "package"
	}
	return tb.Name()
}

// headerOf is the header of a golden file that is a host's own.
func headerOf(tb host) golden.Header {
	if isPackage(tb) {
		return golden.Header{Package: gotest.PackagePath(), Command: acceptCommand(tb)}
	}
	return golden.Header{Test: tb.Name(), Command: acceptCommand(tb)}
}

// what is a host in a sentence on how it ended.
func what(tb host) string {
	if isPackage(tb) {
		return "a test"
	}
	return "the test"
}

// failedBefore says why nothing is accepted from a host that had failed before its recording was judged, since NetZero
// failed a part of it.
func failedBefore(tb host) string {
	if isPackage(tb) {
		return "a test had failed before: mend it first, nothing is written from a run in which a test failed"
	}
	return "the test had failed before: mend it first, nothing is written from a failed test"
}
