package gotest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// PackageRun is the run of all tests of a package. It logs, fails and cleans up as package testing does for a test, but
// writes to standard error. It is safe for use by several goroutines.
type PackageRun struct {
	name   string
	failed atomic.Bool

	mu       sync.Mutex
	cleanups []func()
	subtests map[string]bool // tests with subtests
}

// NewPackageRun returns the run of the package under test.
func NewPackageRun() *PackageRun {
	return &PackageRun{name: "package " + PackagePath(), subtests: make(map[string]bool)}
}

// Name returns "package" and the import path.
func (p *PackageRun) Name() string { return p.name }

// Helper does nothing, because messages have no place in the source.
func (p *PackageRun) Helper() {}

// Failed reports whether a test has failed (SetFailed), or the run itself (Errorf).
func (p *PackageRun) Failed() bool { return p.failed.Load() }

// SetFailed sets whether a test has failed.
func (p *PackageRun) SetFailed(failed bool) { p.failed.Store(failed) }

// Skipped returns false: a run has no skip of its own.
func (p *PackageRun) Skipped() bool { return false }

// Logf prints with -v, or after a failure.
func (p *PackageRun) Logf(format string, args ...any) {
	if isVerbose() || p.Failed() {
		p.print(format, args...)
	}
}

// Errorf prints and fails the run.
func (p *PackageRun) Errorf(format string, args ...any) {
	p.failed.Store(true)
	p.print(format, args...)
}

// Fatalf prints and ends the process.
func (p *PackageRun) Fatalf(format string, args ...any) {
	p.print(format, args...)
	os.Exit(1)
}

func (p *PackageRun) print(format string, args ...any) {
	fmt.Fprintln(os.Stderr, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"))
}

// Attr does nothing: package testing knows attributes of tests only.
func (p *PackageRun) Attr(key, value string) {}

// Cleanup registers a function for RunCleanups.
func (p *PackageRun) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// RunCleanups calls the registered functions, the last one first.
func (p *PackageRun) RunCleanups() {
	p.mu.Lock()
	cleanups := p.cleanups
	p.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}

// AddSubtests registers a test that has run subtests.
func (p *PackageRun) AddSubtests(test string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subtests[test] = true
}

// WithSubtests returns the tests that have run subtests, sorted.
func (p *PackageRun) WithSubtests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.subtests))
}
