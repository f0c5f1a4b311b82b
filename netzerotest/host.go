package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// host is the owner of a recording: a test (testing.TB), or the run of a package.
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

// fileOf returns the name from which golden.Path makes the default golden file of a host.
func fileOf(tb host) string {
	if isPackage(tb) {
		return "package"
	}
	return tb.Name()
}

// headerOf returns the header of a golden file that belongs to one host.
func headerOf(tb host) golden.Header {
	if isPackage(tb) {
		return golden.Header{Package: gotest.PackagePath(), Command: acceptCommand(tb)}
	}
	return golden.Header{Test: tb.Name(), Command: acceptCommand(tb)}
}

// what returns the words for a host in a message about its failure.
func what(tb host) string {
	if isPackage(tb) {
		return "a test"
	}
	return "the test"
}

// failedBefore says why an update accepts nothing from a host that failed before its recording was checked, because
// NetZero failed a part of it.
func failedBefore(tb host) string {
	if isPackage(tb) {
		return "a test had failed before: mend it first, nothing is written from a run in which a test failed"
	}
	return "the test had failed before: mend it first, nothing is written from a failed test"
}
