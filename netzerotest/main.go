package netzerotest

import (
	"testing"
)

// Main is for TestMain: it runs the package's tests and then fails on stale golden files, those below testdata/netzero
// whose test no longer exists; with -update it removes them. It returns the code to exit with:
//
//	func TestMain(m *testing.M) { os.Exit(netzerotest.Main(m)) }
//
// It judges only after a run in which no test failed.
func Main(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	return judgeStale(testNames(m))
}
