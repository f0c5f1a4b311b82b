package netzerotest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/settings"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Flow is one destination that a recording saw, once or more often:
//
//   - who opened it: Source, Process, and the line of Go in Process.Stack
//   - to whom: Destination, with the address that was used and the name by which it is known
//   - Protocol and Port
//   - how often: Count, and how often the kernel refused it: Refused
//   - when first, from the start of the recording: First
type Flow = flow.Flow

// A Recording is the recording of one test, and ends with it. It is a [testcontainers.ContainerCustomizer]: a container
// that gets it is also recorded.
type Recording struct {
	tb       run
	settings settings.Settings
	config   config
	golden   string // the file's path
	file     *check.GoldenFile

	live *recorder.Recording // nil if nothing is recorded
	left []recorder.Ended    // of tests that had ended before

	enforced bool // the kernel refuses what the golden file does not allow

	started time.Time

	mu    sync.Mutex
	final []Flow // set at the end
}

// Record starts recording the network flows of tb's process, its children and its containers. When tb ends, it compares
// them with the committed policy.
//
// Call it first. Cleanups run in reverse order, so the recording then includes the flows of the test's cleanups.
//
// It ends the test at once (tb.Fatal) if an option or an environment variable is wrong. It does the same if recording
// is impossible and required: in CI, with NETZERO=require, with -update and with [Enforce].
func Record(tb testing.TB, opts ...Option) *Recording {
	tb.Helper()
	r := &Recording{tb: testRun{tb}}
	failures.Forget(tb.Name())
	if err := r.prepare(opts); err != nil {
		failures.Add(tb.Name())
		tb.Fatalf("netzero: Record: %v", err)
	}
	if r.begin() {
		tb.Cleanup(r.finish)
	}
	return r
}

// begin starts recording and reports whether it did. It ends the test if recording is required and impossible.
func (r *Recording) begin() bool {
	r.tb.Helper()
	if r.settings.Off {
		r.runUnrecorded("NETZERO=off")
		return false
	}
	enforcement, err := r.enforcement()
	if err != nil {
		failures.Add(r.tb.Name())
		r.tb.Fatalf("netzero: %s: %v", r.tb.Name(), err)
	}
	r.enforced = enforcement != nil
	options := r.config.recorder(r.tb)
	options.Enforcement, options.AtEnd = enforcement, r.tb.atEnd()
	r.started = time.Now()
	r.live, err = recorder.Join(r.settings.Sizes, options)
	var enforceError *recorder.EnforceError
	if errors.As(err, &enforceError) {
		failures.Add(r.tb.Name())
		r.tb.Fatalf("netzero: %s: %v", r.tb.Name(), err)
	}
	if err != nil {
		if r.settings.Require || r.enforced || !session.IsExpected(err) {
			failures.Add(r.tb.Name())
			r.tb.Fatalf("netzero: %s: %s", r.tb.Name(), cannotRecord(r.tb, r.settings.Update, err))
		}
		r.runUnrecorded(unrecorded(err))
		return false
	}
	leftovers.Add(uint64(r.live.ID()), r.leftoverOptions())
	return true
}

// runUnrecorded says that the tests of this package are not recorded, once for each reason. With other privileges the
// next run may be recorded, so go test must not cache this one.
func (r *Recording) runUnrecorded(reason string) {
	testSource().PreventCaching()
	gotest.Announce("NOT RECORDED: " + reason)
}

// prepare reads options and settings, and registers the golden file.
func (r *Recording) prepare(opts []Option) (err error) {
	if packageDirErr != nil {
		return fmt.Errorf("find the package's directory: %w", packageDirErr)
	}
	if r.settings, err = settings.Read(packageDir.Join); err != nil {
		return err
	}
	if r.config, err = newConfig(opts); err != nil {
		return err
	}
	if r.tb.isPackage() && r.config.shared != "" {
		return fmt.Errorf("Shared(%q): one policy is that of the whole package already: leave the option out, "+
			"or name the file by Golden", r.config.shared)
	}
	if r.golden, err = packageDir.Golden(cmp.Or(r.config.golden, r.config.shared), r.tb.goldenName()); err != nil {
		return err
	}
	var release func()
	r.file, release, err = goldens.Begin(r.golden, check.Member{
		Test: r.tb.Name(), Package: testedPackage(),
		Shares: r.config.shared != "", Updates: r.settings.Update, AtEnd: underMain.Load(),
	})
	if err != nil {
		return err
	}
	r.tb.Cleanup(release)
	used.AddGolden(r.golden)
	return nil
}

// ended reports whether the test has ended, and the recording with it.
func (r *Recording) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.final != nil
}

// Flows returns the flows so far, sorted, including those that [Ignore] leaves out of the policy. It returns none if
// nothing is recorded.
func (r *Recording) Flows() []Flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil || r.final != nil {
		return recording.CloneFlows(r.final)
	}
	recorded, err := r.live.Resolve()
	var option *recording.OptionError // reported when the test ends
	if err != nil && !errors.As(err, &option) {
		failures.Add(r.tb.Name())
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
	}
	return recording.CloneFlows(recorded.Flows)
}

// Refused returns those of [Recording.Flows] that the kernel refused, once or more often. Only the option [Enforce]
// makes it refuse any.
func (r *Recording) Refused() []Flow { return refusedOf(r.Flows()) }

// refusedOf returns the flows of which the kernel refused an attempt.
func refusedOf(flows []Flow) []Flow {
	return slices.DeleteFunc(flows, func(f Flow) bool { return f.Refused == 0 })
}
