package netzerotest

import (
	"sync/atomic"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// packageRun is the run of all tests of a package.
type packageRun struct {
	*gotest.PackageRun
	started  atomic.Bool
	allow    func() // lets m.Run run tests
	followed bool   // whether all skipped tests, and all tests with subtests, are known
}

func (*packageRun) isPackage() bool         { return true }
func (*packageRun) artifacts() string       { return "" }
func (*packageRun) atEnd() func(func())     { return nil }
func (*packageRun) String() string          { return "a test" }
func (*packageRun) goldenName() string      { return "package" }
func (*packageRun) header() golden.Header   { return golden.Header{Package: gotest.PackagePath()} }
func (*packageRun) command() gotest.Command { return gotest.Command{} }
func (p *packageRun) isPartial() bool       { return !used.IsComplete() || !p.followed }
func (p *packageRun) failedAlone() bool     { return p.Failed() && !failures.Any() }
func (p *packageRun) skippedAt() string     { return testSource().SkipInSubtests(p.WithSubtests()) }
