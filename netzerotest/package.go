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

// A PackageRecording is the capture of a whole package: see [RecordPackage]. It is a [testcontainers.ContainerCustomizer] as
// a [Recording] is.
type PackageRecording struct {
	recording *Recording // nil where this process is not recorded by itself
	run       *packageRun
}

// recordedPackage is the recording of this process's package; nil where there is none.
var recordedPackage atomic.Pointer[PackageRecording]

// RecordPackage starts one recording for all tests of a package, and for what TestMain does itself. It is for packages whose
// TestMain starts what the tests share, such as containers and connection pools:
//
//	func TestMain(m *testing.M) {
//		rec := netzerotest.RecordPackage(netzerotest.Manifests("deploy/*.yaml"))
//		db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//		...
//		os.Exit(rec.Run(m))
//	}
//
// Everything from here to the end of [PackageRecording.Run] is compared with one policy, in testdata/netzero/package.yaml or
// the file of [Golden]. No test needs a call. A failure names the test that opened each flow. A test that calls [Record] has a
// policy of its own besides.
//
// An update only adds to the policy where not all tests ran (-run, -skip, -short, a test that was skipped), and does nothing
// where one failed.
//
// It parses the command line, so flags of the package have to be declared before. It ends the process, with the reason on
// standard error, where an option or an environment variable is wrong, where it is called twice, and where recording is
// impossible and required: in CI, with NETZERO=require and with -update. [Shared] is a wrong option: the policy is that of all
// tests already. From then on m.Run runs no test, but fails: [PackageRecording.Run] does.
//
// A process that a recorded test starts from the test binary itself is part of that recording: there RecordPackage does
// nothing. Nor does it with -list.
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

// Run runs the package's tests, ends the recording and compares it with the committed policy, or updates that. Then it does
// what [Main] does. It returns the code to exit with.
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
	if err := flag.Set("test.paniconexit0", "true"); err != nil { // also without go test: else a test that exits is green
		p.run.Errorf("netzero: %s: %v", p.run.name, err)
	}
	underMain.Store(true)
	watch(m)
	if p.recording.live == nil {
		return exitWith(m, judgePackage(m, m.Run()))
	}
	ended := false
	defer func() {
		if !ended { // an example has panicked
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

// Customize makes a container that testcontainers-go starts a part of this recording: see [Recording.Customize].
func (p *PackageRecording) Customize(req *testcontainers.GenericContainerRequest) error {
	if p.recording == nil {
		return nil
	}
	return p.recording.Customize(req)
}

// As is [PackageRecording.Customize] for a container that the policy calls name: see [Recording.As].
func (p *PackageRecording) As(name string) testcontainers.ContainerCustomizer {
	return p.named().As(name)
}

// Flows returns what was seen so far: see [Recording.Flows]. Flow.Process.Test is the test that opened it.
func (p *PackageRecording) Flows() []Flow {
	if p.recording == nil {
		return nil
	}
	return p.recording.Flows()
}

// abandon detaches everything and compares nothing, because the process is about to die.
func (p *PackageRecording) abandon() {
	if p.recording.live == nil || p.recording.ended() {
		return
	}
	if err := p.recording.live.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %s: %v\n", p.run.name, err)
	}
}

// packageRun is the run of a package as a [host].
type packageRun struct {
	name     string
	started  atomic.Bool
	failed   atomic.Bool
	unguard  func()
	followed bool // every test is known that was skipped, and that had subtests

	mu       sync.Mutex
	cleanups []func()
	subtests map[string]bool // tests that had some
}

func (p *packageRun) Name() string  { return p.name }
func (p *packageRun) Helper()       {}
func (p *packageRun) Failed() bool  { return p.failed.Load() }
func (p *packageRun) Skipped() bool { return false }

// Logf prints what package testing would print of a test: with -v, or where it failed.
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

// isPartial reports whether parts of the package did not run, as far as is known.
func (p *packageRun) isPartial() bool { return !isWhole() || !p.followed }

// withSubtests returns the tests that had subtests.
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
