package check

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// GoldenFile is a golden file with the recordings of its tests in this process. It has one test, its owner, or is
// shared by several. Its rules are unused if all of its tests have recorded and none needed them:
//
//   - The owner is the only test, so its recording decides as soon as it ends, even if the test fails.
//   - A shared file waits for each test that began and each test that the file lists. A test that failed, or that may
//     have skipped a subtest, has not shown what it needs.
type GoldenFile struct {
	path  string
	pkg   Package
	owner string // the only test; empty if tests share the file

	mu      sync.Mutex
	open    bool            // more tests may begin
	begun   map[string]bool // tests that began but have no recording in parts yet
	parts   map[string]part // by test
	partial bool            // parts of a test may not have run
	strict  bool            // a test has the option Strict
	dialect golden.Dialect

	reported map[string]string // the test that reported a flow or a program first
}

// part is the recording of one test.
type part struct {
	scope policy.Scope
	flows []flow.Flow
}

// newGoldenFile returns a file without recordings, for a test that is about to begin.
func newGoldenFile(path string, m Member) *GoldenFile {
	f := &GoldenFile{
		path: path, pkg: m.Package, begun: make(map[string]bool), parts: make(map[string]part),
		reported: make(map[string]string),
	}
	if !m.Shares {
		f.owner = m.Test
	}
	return f
}

// isShared reports whether several tests may record for the file.
func (f *GoldenFile) isShared() bool { return f.owner == "" }

func (f *GoldenFile) relative() string { return f.pkg.Dir.Relative(f.path) }

// begin adds a test. Until its recording is added, no rule counts as unused.
func (f *GoldenFile) begin(m Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun[f.pkg.TestName(m.Test)] = true
	f.open = f.isShared() && m.AtEnd
}

// close says that no more tests begin.
func (f *GoldenFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = false
}

// end adds the recording of a test that has ended. Several runs of one test add up. isAccepted says that the test
// passed or updates the file.
func (f *GoldenFile) end(o Options, p part, isAccepted bool) error {
	isPartial := o.Partial
	if f.isShared() {
		if !isAccepted {
			return nil
		}
		isPartial = isPartial || o.skipped() != ""
	}
	test := f.pkg.TestName(o.Test)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.partial = f.partial || isPartial
	if before, again := f.parts[test]; again {
		p.flows = slices.Concat(before.flows, p.flows)
	}
	for _, other := range slices.Sorted(maps.Keys(f.parts)) {
		if _, err := policy.UniteScopes(f.parts[other].scope, p.scope); err != nil {
			return fmt.Errorf("%s is shared with %s: %w", f.relative(), other, err)
		}
	}
	f.strict, f.dialect = f.strict || o.Strict, o.dialect()
	f.parts[test] = p
	delete(f.begun, test)
	return nil
}

// keepUnused says that the owner may have skipped a subtest, so that an update keeps the rules that its recording does
// not need. Its report lists them as unused all the same.
func (f *GoldenFile) keepUnused() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.partial = true
}

// recorded returns the recordings of all tests of the file. It returns false if a test has not recorded, or not
// completely. listed are the tests in the header of the file, and names are the tests of the package, if known.
func (f *GoldenFile) recorded(listed, names []string) (all part, complete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open || f.partial || len(f.begun) > 0 || len(f.parts) == 0 {
		return part{}, false
	}
	kept, _ := f.pkg.existing(listed, names)
	if slices.ContainsFunc(kept, func(test string) bool { _, has := f.parts[test]; return !has }) {
		return part{}, false
	}
	anyRecords := false
	for _, p := range f.parts {
		anyRecords = anyRecords || p.scope.Requests
	}
	var scopes []policy.Scope
	for _, test := range slices.Sorted(maps.Keys(f.parts)) {
		p := f.parts[test]
		scopes = append(scopes, p.scope)
		all.flows = append(all.flows, MarkOpaque(p.flows, p.scope, anyRecords)...)
	}
	if !f.isShared() { // nothing to unite
		all.scope = scopes[0]
		return all, true
	}
	var err error
	all.scope, err = policy.UniteScopes(scopes...)
	return all, err == nil
}

// unused returns the rules of the file that none of its tests needed, once all of them have recorded. names are the
// tests of the package, if known.
func (f *GoldenFile) unused(file *golden.File, names []string) []string {
	all, complete := f.recorded(listedIn(file), names)
	d, is := f.dialectOf(file, all.scope)
	if !complete || !is {
		return nil
	}
	unused := d.Unused(file.Policies, all.flows)
	if f.isStrict() {
		unused = append(unused, f.foreign(d, file)...)
	}
	return unused
}

// foreign returns one line for each policy that is for no workload of the owner: that of a container that no longer
// exists, or one written by hand. The policies of a shared file may be for workloads of other tests.
func (f *GoldenFile) foreign(d dialect, file *golden.File) []string {
	recordsContainers := slices.ContainsFunc(d.scope.Subjects, func(s policy.Subject) bool { return s.AllTraffic })
	if f.isShared() || !recordsContainers {
		return nil
	}
	var lines []string
	for _, p := range d.Foreign(file.Policies) {
		lines = append(lines, fmt.Sprintf("policy %s is for no workload of this run: an update keeps it; delete it if its "+
			"container no longer exists", p.GetName()))
	}
	return lines
}

// proposed returns the policies that a test's report compares with the committed ones: those of the owner's recording.
// In a shared file, other tests may need the rest of the committed ones.
func (f *GoldenFile) proposed(d dialect, committed []golden.Policy, flows []flow.Flow) []golden.Policy {
	if f.isShared() {
		return d.Extend(committed, flows)
	}
	return d.Generate(flows)
}

// dialectOf returns the dialect of the file. It returns false if the file has gone, or has the other dialect: somebody
// replaced it after the tests.
func (f *GoldenFile) dialectOf(file *golden.File, scope policy.Scope) (d dialect, is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return dialectFor(f.dialect, scope), file != nil && (file.Dialect == "" || file.Dialect == f.dialect)
}

func (f *GoldenFile) isStrict() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.strict
}
