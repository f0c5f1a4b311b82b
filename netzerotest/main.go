package netzerotest

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// Main is for TestMain. It runs the package's tests and then fails on stale golden files: those below testdata/netzero
// that no test used, whatever their headers say. With -update it removes them. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(netzerotest.Main(m)) }
//
// It checks files only after a run of the whole package (no -run, -skip, -short, -list or -fuzz) in which no test
// failed and no recording was skipped. It then also checks the files that tests share; see [Shared].
func Main(m *testing.M) int {
	underMain.Store(true)
	watch(m)
	return exitWith(m, judgePackage(m, m.Run()))
}

// judgePackage checks files that do not belong to a single test, after a run that ended with a code. It returns the
// exit code.
func judgePackage(m *testing.M, code int) int {
	if code != 0 || !isWhole() {
		return code
	}
	env, err := readEnvironment()
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %v\n", err)
		return 1
	}
	names := gotest.TestNames(m)
	if len(names) == 0 {
		return 0 // package testing does not expose the tests
	}
	failed := false
	for _, sum := range []check.Summary{
		testedPackage().Stale(names, used, &sharedFiles, env.update), sharedFiles.Check(names, env.update),
	} {
		for _, line := range sum.Lines {
			fmt.Fprintf(os.Stderr, "netzero: %s\n", line)
		}
		failed = failed || sum.Failed
	}
	if failed {
		return 1
	}
	return 0
}

// underMain is set if Main runs the tests and checks shared files when all of them have ended.
var underMain atomic.Bool
