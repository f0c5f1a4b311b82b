package netzerotest

import (
	"go/token"
	"os"
	"sync"
	"testing"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// packageDir is the directory of the package under test. go test starts a test binary there, and tests may leave it.
var packageDir, packageDirErr = workingDir()

func workingDir() (check.Dir, error) {
	dir, err := os.Getwd()
	return check.Dir(dir), err
}

var (
	// used holds the results of this process's run.
	used = gotest.NewUse(testSource())
	// goldens are the golden files of this process's tests.
	goldens check.Register
)

// testedPackage is the package under test.
func testedPackage() check.Package {
	return check.Package{
		Dir: packageDir, Path: gotest.PackagePath(), Accept: gotest.Command{Update: true}.String(),
		SourceTests: testsInSource,
	}
}

// testSource returns the source of the package under test.
func testSource() gotest.Source { return gotest.Source(packageDir) }

// testsInSource returns the names of the functions in the package's test files.
var testsInSource = sync.OnceValue(func() map[string]bool { return testSource().Functions() })

// testPlaces returns the places of the package's tests.
var testPlaces = sync.OnceValue(func() map[string]token.Position { return testSource().Places() })

// watch registers a test or fuzz test as used when it ends.
func watch(tb testing.TB) {
	if _, isBenchmark := tb.(*testing.B); !isBenchmark {
		tb.Cleanup(func() { used.Ended(tb.Name(), tb.Skipped()) })
	}
}

// beforeEach calls start at the beginning of each test, benchmark and fuzz test. It calls startExample before each
// example, and its result at the end of the example. It returns false if package testing does not allow this.
func beforeEach(m *testing.M, start func(testing.TB), startExample func(name string) (end func())) bool {
	tests, ok1 := gotest.List[testing.InternalTest](m, "tests")
	benchmarks, ok2 := gotest.List[testing.InternalBenchmark](m, "benchmarks")
	fuzzes, ok3 := gotest.List[testing.InternalFuzzTarget](m, "fuzzTargets")
	examples, ok4 := gotest.List[testing.InternalExample](m, "examples")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return false
	}
	for i, test := range tests {
		tests[i].F = func(t *testing.T) {
			start(t)
			test.F(t)
		}
	}
	for i, benchmark := range benchmarks {
		benchmarks[i].F = func(b *testing.B) {
			b.StopTimer() // exclude our own work from the measurement
			start(b)
			b.StartTimer()
			benchmark.F(b)
		}
	}
	for i, fuzz := range fuzzes {
		fuzzes[i].Fn = func(f *testing.F) {
			start(f)
			fuzz.Fn(f)
		}
	}
	for i, example := range examples {
		examples[i].F = func() {
			defer startExample(example.Name)()
			example.F()
		}
	}
	return true
}

// callsTests is the prefix of the functions that call tests in beforeEach. Package recorder has it too.
const callsTests = "github.com/netzero-dev/netzero/netzerotest.beforeEach."

// exitWith sets the exit code of the process, for a TestMain that returns and ignores the code, and returns the code.
func exitWith(m *testing.M, code int) int {
	gotest.SetExitCode(m, code)
	return code
}
