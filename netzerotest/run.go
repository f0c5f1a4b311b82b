package netzerotest

import (
	"os"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/ways"
)

// run is what one recording covers: a test (testRun), or all tests of a package (packageRun).
type run interface {
	Name() string
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	Failed() bool
	Skipped() bool
	Cleanup(func())
	Attr(key, value string) // only package testing shows it

	isPackage() bool
	String() string          // for a message about its failure: "the test"
	goldenName() string      // for golden.Path, which makes the default golden file of it
	header() golden.Header   // of a golden file of its own, without the command
	command() gotest.Command // runs it again
	isPartial() bool         // parts of it may not have run
	artifacts() string       // the directory for its artifacts; empty without -artifacts
	skippedAt() string       // the place at which it may have skipped a subtest, or ""
	atEnd() func(func())     // calls a function after all tests; nil if that is not possible

	// failedAlone reports whether it has failed for another reason than NetZero. Then its flows are not reported, because
	// they are those of a service that did not work.
	failedAlone() bool
}

// failures are the tests that NetZero has failed.
var failures gotest.Failures

// testRun is a single test, benchmark or fuzz test.
type testRun struct{ testing.TB }

func (testRun) isPackage() bool         { return false }
func (t testRun) atEnd() func(func())   { return gotest.AtEnd(t.TB) }
func (t testRun) artifacts() string     { return gotest.Artifacts(t.TB) }
func (testRun) String() string          { return "the test" }
func (t testRun) goldenName() string    { return t.Name() }
func (t testRun) header() golden.Header { return golden.Header{Test: t.Name()} }
func (t testRun) isPartial() bool       { return gotest.IsPartial(t.Name()) }
func (t testRun) failedAlone() bool     { return t.Failed() && !failures.Include(t.Name()) }

// Attr sets an attribute of the test. A type of a test framework may embed a nil testing.TB to have all methods, and
// lack this one, which is new in Go 1.25. An attribute is no reason for a panic, so there is none then.
func (t testRun) Attr(key, value string) {
	defer func() { _ = recover() }()
	t.TB.Attr(key, value)
}

func (t testRun) command() gotest.Command {
	_, isBenchmark := t.TB.(*testing.B)
	return gotest.Command{Test: t.Name(), Benchmark: isBenchmark}
}

func (t testRun) skippedAt() string {
	if !gotest.HadSubtests(t.TB) {
		return ""
	}
	top, _, _ := strings.Cut(t.Name(), "/")
	return testSource().SkipInSubtests([]string{top})
}

// acceptCommand returns the command that accepts the recorded flows, from any directory of the module.
func acceptCommand(tb run) gotest.Command {
	c := tb.command()
	c.Update = true
	return c
}

// acceptCommandHere is acceptCommand for the user who runs this process: with -exec, if netzero started it so.
// Benchmarks and fuzz tests only run if the command names them, and one of them may have opened a flow of the package.
func acceptCommandHere(tb run) gotest.Command {
	c := acceptCommand(tb)
	if session.IsLaunched() && !strings.Contains(os.Getenv("GOFLAGS"), "-exec") {
		c.Exec = ways.Exec
	}
	if tb.isPackage() {
		c.Flags = gotest.SelectingFlags()
	}
	return c
}

// doctor is the command that lists the missing prerequisites of a machine.
const doctor = "go run " + ways.Tool + " doctor"

// unrecorded says in one line why the tests of this package are not recorded, and how to record them.
func unrecorded(err error) string {
	return withAdvice(err, gotest.Command{})
}

// cannotRecord says in one line why a test that must be recorded cannot be, how to fix it, and where to find details.
func cannotRecord(tb run, update bool, err error) string {
	again := tb.command()
	again.Update = update
	return "cannot record: " + withAdvice(err, again) + "; all that is missing: " + doctor
}

// withAdvice returns an error of the recorder with its fix. The command runs the tests again.
func withAdvice(err error, again gotest.Command) string {
	launched := again
	launched.Exec = ways.Exec
	text := err.Error()
	if advice := session.Advice(err, ways.Advice(launched.String(), string(packageDir)), again.String()); advice != "" {
		text += "; " + advice
	}
	return text
}
