package netzerotest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// A PackageRecording is the recording of a whole package: see [RecordPackage]. Like a [Recording] it is a
// [testcontainers.ContainerCustomizer].
type PackageRecording struct {
	recording *Recording // nil if this process is recorded as a child, or not at all
	run       *packageRun
}

// recordedPackage is the recording of this process's package, nil if there is none.
var recordedPackage atomic.Pointer[PackageRecording]

// RecordPackage starts one recording for all tests of a package and for TestMain itself. Use it if TestMain starts
// containers, connection pools or other resources that the tests share:
//
//	func TestMain(m *testing.M) {
//		rec := netzerotest.RecordPackage(netzerotest.Manifests("deploy/*.yaml"))
//		db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//		...
//		os.Exit(rec.Run(m))
//	}
//
// Everything from here to the end of [PackageRecording.Run] is compared with one policy, in
// testdata/netzero/package.yaml or the file of [Golden]. No test needs a call. A failure names the test that opened
// each flow. A test that calls [Record] also has a policy of its own.
//
// An update only adds to the policy if not all tests ran (-run, -skip, -short, a skipped test). It does nothing if a
// test failed.
//
// RecordPackage parses the command line, so declare the flags of the package before. From then on m.Run runs no test
// and fails; use [PackageRecording.Run].
//
// It ends the process, with the reason on standard error, in these cases:
//
//   - An option or an environment variable is wrong. [Shared] is not allowed, because the policy
//     already covers all tests.
//   - It is called twice.
//   - Recording is impossible and required: in CI, with NETZERO=require, with -update and with [Enforce].
//
// If a recorded test starts the test binary itself, that process is part of the test's recording, and RecordPackage
// does nothing in it. It does nothing with -list either.
func RecordPackage(opts ...Option) *PackageRecording {
	if !flag.Parsed() {
		flag.Parse()
	}
	p := &PackageRecording{run: &packageRun{PackageRun: gotest.NewPackageRun()}}
	if gotest.Flag("test.list") != "" || recorder.IsRecordedChild() {
		return p
	}
	if !recordedPackage.CompareAndSwap(nil, p) {
		recordedPackage.Load().abandon()
		p.run.Fatalf("netzero: RecordPackage: called twice: one recording has the flows of the whole package")
	}
	p.recording = &Recording{tb: p.run}
	if err := p.recording.prepare(opts); err != nil {
		p.run.Fatalf("netzero: RecordPackage: %v", err)
	}
	p.recording.begin()
	p.run.allow = gotest.PreventRun(func() {
		fmt.Fprintln(os.Stderr, "netzero: RecordPackage was called, but not the method Run of its result: "+
			"TestMain has to call it in place of m.Run")
		p.abandon()
	})
	return p
}

// Run runs the package's tests, ends the recording, and compares it with the committed policy or updates the policy.
// Then it does what [Main] does. It returns the exit code.
func (p *PackageRecording) Run(m *testing.M) int {
	if p.recording == nil {
		return m.Run()
	}
	if p.run.started.Swap(true) {
		fmt.Fprintln(os.Stderr, "netzero: PackageRecording.Run: called twice: the recording has ended")
		return exitWith(m, 1)
	}
	p.run.allow()
	defer p.run.RunCleanups()
	// Without go test it is not set, and a test that exits would pass.
	if err := flag.Set("test.paniconexit0", "true"); err != nil {
		p.run.Errorf("netzero: %s: %v", p.run.Name(), err)
	}
	if p.recording.live == nil {
		return Main(m)
	}
	underMain.Store(true)
	ended := false
	defer func() {
		if !ended { // an example panicked
			p.abandon()
		}
	}()
	p.run.followed = beforeEach(m, p.enter, p.recording.live.EnterTest)
	code := m.Run()
	ended = true
	p.run.SetFailed(code != 0)
	p.recording.finish()
	if p.run.Failed() {
		code = max(code, 1)
	}
	return exitWith(m, checkPackage(m, code))
}

// Customize adds a container that testcontainers-go starts to this recording: see [Recording.Customize].
func (p *PackageRecording) Customize(req *testcontainers.GenericContainerRequest) error {
	if p.recording == nil {
		return nil
	}
	return p.recording.Customize(req)
}

// As is [PackageRecording.Customize] for a container with this name in the policy: see [Recording.As].
func (p *PackageRecording) As(name string) testcontainers.ContainerCustomizer {
	return p.named().As(name)
}

// AsPeer is [PackageRecording.As] for a container that another team operates: see [Recording.AsPeer].
func (p *PackageRecording) AsPeer(name string) testcontainers.ContainerCustomizer {
	return p.named().AsPeer(name)
}

// Adopt adds a running container to this recording: see [Recording.Adopt].
func (p *PackageRecording) Adopt(ctx context.Context, container testcontainers.Container, name string) error {
	return p.named().Adopt(ctx, container, name)
}

// named returns the recording. If there is none, it returns one that only checks names.
func (p *PackageRecording) named() *Recording {
	if p.recording == nil {
		return &Recording{tb: p.run}
	}
	return p.recording
}

// Flows returns the flows so far: see [Recording.Flows]. Flow.Process.Test is the test that opened a flow.
func (p *PackageRecording) Flows() []Flow {
	if p.recording == nil {
		return nil
	}
	return p.recording.Flows()
}

// Refused returns the refused flows so far: see [Recording.Refused].
func (p *PackageRecording) Refused() []Flow { return refusedOf(p.Flows()) }

// enter attributes the calling goroutine to a test until the test has ended.
func (p *PackageRecording) enter(tb testing.TB) {
	leave := p.recording.live.EnterTest(tb.Name())
	tb.Cleanup(func() { // this cleanup runs last
		if gotest.EndsProcess(tb, callsTests) {
			p.abandon()
			return
		}
		if tb.Skipped() {
			used.AddSkipped()
		}
		if gotest.HadSubtests(tb) {
			p.run.AddSubtests(tb.Name())
		}
		leave()
	})
	watch(tb)
}

// abandon detaches everything and compares nothing, because the process is about to end.
func (p *PackageRecording) abandon() {
	if p.recording.live == nil || p.recording.ended() {
		return
	}
	if err := p.recording.live.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %s: %v\n", p.run.Name(), err)
	}
}
