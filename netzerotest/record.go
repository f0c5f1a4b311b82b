package netzerotest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Flow is one destination that a recording saw, once or more often:
//
//   - who opened it: Source, Process, and the line of Go in Process.Stack
//   - to whom: Destination, with the address that was used and the name by which it is known
//   - Protocol and Port
//   - how often: Count
//   - when first, from the start of the recording: First
type Flow = flow.Flow

// A Recording is the recording of one test, and ends with it. It is a [testcontainers.ContainerCustomizer]: a container
// that gets it is also recorded.
type Recording struct {
	tb     host
	env    environment
	config config
	golden string        // the file's path
	shared *check.Shared // nil if the file is that of one test

	live *recorder.Recording // nil if nothing is recorded
	left []recorder.Ended    // of tests that had ended before

	mu    sync.Mutex
	final []Flow // set at the end
}

// Record starts recording the network flows of tb's process, its children and its containers. When tb ends, it compares
// them with the committed policy.
//
// Call it first. Cleanups run in reverse order, so the recording then includes the flows of the test's cleanups.
//
// It ends the test at once (tb.Fatal) if an option or an environment variable is wrong. It does the same if recording
// is impossible and required: in CI, with NETZERO=require and with -update.
func Record(tb testing.TB, opts ...Option) *Recording {
	tb.Helper()
	r := &Recording{tb: tb}
	forgetFailures(tb)
	err := r.prepare(opts)
	if err != nil {
		noteFailure(tb)
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
	if r.env.off {
		r.runUnrecorded("NETZERO=off")
		return false
	}
	var err error
	r.live, err = recorder.Join(r.env.sizes, r.recorderOptions())
	if err != nil {
		text := cannotRecord(r.tb, r.env.update, err)
		if r.env.require || !isExpected(err) {
			noteFailure(r.tb)
			r.tb.Fatalf("netzero: %s: %s", r.tb.Name(), text)
		}
		r.runUnrecorded(text)
		return false
	}
	recordedTests.Store(r.live.ID(), testOver{tb: r.tb, name: r.tb.Name(), golden: r.golden, config: r.config})
	return true
}

// prepare reads options and environment, and registers the golden file.
func (r *Recording) prepare(opts []Option) (err error) {
	if packageDirErr != nil {
		return fmt.Errorf("find the package's directory: %w", packageDirErr)
	}
	if r.env, err = readEnvironment(); err != nil {
		return err
	}
	if r.config, err = newConfig(opts); err != nil {
		return err
	}
	if isPackage(r.tb) && r.config.shared != "" {
		return fmt.Errorf("Shared(%q): one policy is that of the whole package already: leave the option out, or name the file by Golden", r.config.shared)
	}
	if r.golden, err = packageDir.Golden(cmp.Or(r.config.golden, r.config.shared), fileOf(r.tb)); err != nil {
		return err
	}
	if err := claim(r.golden, r.config.shared != "", r.tb, r.env.update); err != nil {
		return err
	}
	used.AddGolden(r.golden)
	if r.config.shared != "" {
		r.shared = sharedFiles.Begin(r.golden, check.Sharer{
			Test: r.tb.Name(), Package: testedPackage(), Strict: r.config.strict, Cilium: r.config.cilium, Partial: isPartial(r.tb),
		})
	}
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
		return cloneFlows(r.final)
	}
	recorded, err := r.live.Resolve()
	var option *recording.OptionError // reported when the test ends
	if err != nil && !errors.As(err, &option) {
		noteFailure(r.tb)
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
	}
	return cloneFlows(recorded.Flows)
}

// cloneFlows returns flows that share no slices with the recording, because a test may change what Flows returned.
func cloneFlows(flows []Flow) []Flow {
	flows = slices.Clone(flows)
	for i := range flows {
		f := &flows[i]
		f.Binaries, f.Process.Parents = slices.Clone(f.Binaries), slices.Clone(f.Process.Parents)
		f.Process.Stack = slices.Clone(f.Process.Stack)
	}
	return flows
}

// running maps golden files to the tests that use them now. updated maps them to the tests that have updated them. If
// two tests used one file, an update by the later one would remove rules that the earlier one needs.
var running, updated sync.Map

func claim(path string, shared bool, tb host, update bool) error {
	sharedBefore := sharedFiles.Has(path)
	if shared {
		other, taken := updated.Load(path)
		if !taken {
			other, taken = running.Load(path)
		}
		if taken && !sharedBefore {
			return fmt.Errorf("golden file %s is shared, but not by %s: give all of its tests the option Shared", packageDir.Relative(path), other)
		}
		path += "\x00" + tb.Name() // other tests use the file too
	} else if sharedBefore {
		return fmt.Errorf("golden file %s is shared by other tests: give this one the option Shared too, or a file of its own", packageDir.Relative(path))
	}
	if other, taken := running.LoadOrStore(path, tb.Name()); taken && other == tb.Name() {
		return fmt.Errorf("was called twice in this test: one recording holds all flows")
	} else if taken {
		return sharedGolden(path, other)
	}
	tb.Cleanup(func() { running.Delete(path) })
	if update && !shared {
		if other, taken := updated.LoadOrStore(path, tb.Name()); taken && other != tb.Name() {
			return sharedGolden(path, other)
		}
	}
	return nil
}

func sharedGolden(path string, other any) error {
	return fmt.Errorf("golden file %s belongs to %s: give one of the two tests another with netzerotest.Golden", packageDir.Relative(path), other)
}
