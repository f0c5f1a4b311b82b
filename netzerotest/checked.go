package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/gotest"
)

// sharedFiles are the golden files that tests of this process share.
var sharedFiles check.SharedFiles

// testedPackage is the package under test.
func testedPackage() check.Package {
	return check.Package{
		Dir: packageDir, Path: gotest.PackagePath(), Accept: gotest.Command{Update: true}.String(), SourceTests: testsInSource,
	}
}

// testOver has the data for checking a test's flows after the test has ended.
type testOver struct {
	tb     host
	name   string
	golden string // the file's path
	config config
}

// options returns the settings for checking flows that the test opened after it had ended.
func (t testOver) options() check.Options {
	return check.Options{
		Test: t.name, Package: testedPackage(), Golden: t.golden,
		Placement: t.config.placement(), Module: goroutine.Module(), Accept: acceptCommandHere(t.tb), ReverseDNS: reverseDNS,
	}
}

// checkOptions returns the settings for checking the recording.
func (r *Recording) checkOptions() check.Options {
	o := testOver{tb: r.tb, name: r.tb.Name(), golden: r.golden, config: r.config}.options()
	o.Header, o.Shared = headerOf(r.tb), r.shared
	o.Strict, o.Update = r.config.strict, r.env.update
	o.Partial, o.AtEnd = isPartial(r.tb), underMain.Load()
	o.Skipped = func() string { return mayHaveSkipped(r.tb) }
	if r.tb.Failed() {
		o.Failed = failedBefore(r.tb)
	}
	return o
}
