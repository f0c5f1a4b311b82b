package netzerotest

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/internal/settings"
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
	beforeEach(m, watch, func(string) func() { return func() {} })
	return exitWith(m, checkPackage(m, m.Run()))
}

// underMain is set if Main or PackageRecording.Run runs the tests. It checks the files that they share when all of them
// have ended.
var underMain atomic.Bool

// checkPackage checks files that do not belong to a single test, after a run that ended with a code. It returns the
// exit code.
func checkPackage(m *testing.M, code int) int {
	if code != 0 || !used.IsComplete() {
		return code
	}
	s, err := settings.Read(packageDir.Join)
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %v\n", err)
		return 1
	}
	names := gotest.TestNames(m)
	if len(names) == 0 {
		return 0 // package testing does not expose the tests
	}
	for _, sum := range []check.Summary{
		testedPackage().Stale(names, used, &goldens, s.Update), goldens.Check(names, s.Update),
	} {
		for _, line := range sum.Lines {
			fmt.Fprintf(os.Stderr, "netzero: %s\n", line)
		}
		if sum.Failed {
			code = 1
		}
		if s.CI.GitHub {
			summarize("package "+gotest.PackagePath(), report.FilesSection(gotest.PackagePath(), sum.Lines))
		}
	}
	return code
}
