package netzerotest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
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
//   - An option or an environment variable is wrong. [Shared] is a wrong option: the policy is that of all tests
//     already.
//   - It is called twice.
//   - Recording is impossible and required: in CI, with NETZERO=require and with -update.
//
// If a recorded test starts the test binary itself, that process is part of the test's recording, and RecordPackage
// does nothing in it. It does nothing with -list either.
func RecordPackage(opts ...Option) *PackageRecording {
	if !flag.Parsed() {
		flag.Parse()
	}
	p := &PackageRecording{run: &packageRun{name: "package " + gotest.PackagePath(), subtests: make(map[string]bool)}}
	if gotest.Flag("test.list") != "" || recorder.IsRecordedChild() {
		return p
	}
	if !recordedPackage.CompareAndSwap(nil, p) {
		recordedPackage.Load().abandon()
		p.run.Fatalf("netzero: RecordPackage: was called twice: one recording has the flows of the whole package")
	}
	p.recording = &Recording{tb: p.run}
	if err := p.recording.prepare(opts); err != nil {
		p.run.Fatalf("netzero: RecordPackage: %v", err)
	}
	p.recording.begin()
	p.run.unguard = p.guard()
	return p
}

// Run runs the package's tests, ends the recording, and compares it with the committed policy or updates the policy.
// Then it does what [Main] does. It returns the exit code.
func (p *PackageRecording) Run(m *testing.M) int {
	if p.recording == nil {
		return m.Run()
	}
	if p.run.started.Swap(true) {
		fmt.Fprintln(os.Stderr, "netzero: PackageRecording.Run: was called twice: the recording has ended")
		return exitWith(m, 1)
	}
	p.run.unguard()
	defer p.run.cleanup()
	// Without go test it is not set, and a test that exits would pass.
	if err := flag.Set("test.paniconexit0", "true"); err != nil {
		p.run.Errorf("netzero: %s: %v", p.run.name, err)
	}
	underMain.Store(true)
	watch(m)
	if p.recording.live == nil {
		return exitWith(m, judgePackage(m, m.Run()))
	}
	ended := false
	defer func() {
		if !ended { // an example panicked
			p.abandon()
		}
	}()
	p.run.followed = p.follow(m)
	code := m.Run()
	ended = true
	p.run.failed.Store(code != 0)
	p.recording.finish()
	if p.run.Failed() {
		code = max(code, 1)
	}
	return exitWith(m, judgePackage(m, code))
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

// Flows returns the flows so far: see [Recording.Flows]. Flow.Process.Test is the test that opened a flow.
func (p *PackageRecording) Flows() []Flow {
	if p.recording == nil {
		return nil
	}
	return p.recording.Flows()
}

// abandon detaches everything and compares nothing, because the process is about to end.
func (p *PackageRecording) abandon() {
	if p.recording.live == nil || p.recording.ended() {
		return
	}
	if err := p.recording.live.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %s: %v\n", p.run.name, err)
	}
}

// packageRun is the [host] of a package's recording: the run of all its tests.
type packageRun struct {
	name     string
	started  atomic.Bool
	failed   atomic.Bool
	unguard  func()
	followed bool // whether all skipped tests, and all tests with subtests, are known

	mu       sync.Mutex
	cleanups []func()
	subtests map[string]bool // tests with subtests
}

func (p *packageRun) Name() string  { return p.name }
func (p *packageRun) Helper()       {}
func (p *packageRun) Failed() bool  { return p.failed.Load() }
func (p *packageRun) Skipped() bool { return false }

// Logf prints like package testing does for a test: with -v, or after a failure.
func (p *packageRun) Logf(format string, args ...any) {
	if testing.Verbose() || p.Failed() {
		p.print(format, args...)
	}
}

func (p *packageRun) Errorf(format string, args ...any) {
	p.failed.Store(true)
	p.print(format, args...)
}

func (p *packageRun) Fatalf(format string, args ...any) {
	p.print(format, args...)
	os.Exit(1)
}

func (p *packageRun) print(format string, args ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"))
}

func (p *packageRun) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

func (p *packageRun) cleanup() {
	for _, f := range slices.Backward(p.cleanups) {
		f()
	}
}

// isPartial reports whether parts of the package are known not to have run, or may not have run.
func (p *packageRun) isPartial() bool { return !isWhole() || !p.followed }

// withSubtests returns the tests that ran subtests.
func (p *packageRun) withSubtests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var tests []string
	for test := range p.subtests {
		tests = append(tests, test)
	}
	slices.Sort(tests)
	return tests
}
