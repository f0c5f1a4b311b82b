package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// SharedFiles are the golden files that tests of this process share. The zero value is ready to use, by several
// goroutines.
type SharedFiles struct{ byPath sync.Map }

// Has reports whether a test of this process shares the golden file.
func (s *SharedFiles) Has(path string) bool {
	_, shared := s.byPath.Load(path)
	return shared
}

// Begin registers a test that shares the golden file. Until its [Run] has passed, no rule of the file counts as unused.
func (s *SharedFiles) Begin(path string, test Sharer) *Shared {
	found, _ := s.byPath.LoadOrStore(path, &Shared{
		path: path, pkg: test.Package, begun: make(map[string]bool), parts: make(map[string]part),
	})
	file := found.(*Shared)
	file.mu.Lock()
	defer file.mu.Unlock()
	file.begun[test.Package.TestName(test.Test)] = true
	file.strict = file.strict || test.Strict
	file.cilium = test.Cilium
	file.partial = file.partial || test.Partial
	return file
}

// Sharer is a test that shares a golden file. The fields are as in [Options].
type Sharer struct {
	Test                    string
	Package                 Package
	Strict, Cilium, Partial bool
}

// Shared is a golden file that tests share, with the recordings of this process for it.
type Shared struct {
	path string
	pkg  Package

	mu      sync.Mutex
	strict  bool
	cilium  bool
	begun   map[string]bool // tests that began to record, even if that failed
	parts   map[string]part // of tests that passed
	partial bool            // parts of a test may not have run

	reported map[string]string // the test that reported a flow or a program first
}

// part is the recording of one test.
type part struct {
	scope policy.Scope
	flows []flow.Flow
}

// end adds the recording of a test. Several runs of one test add up. skipped is the place at which a subtest may have
// been skipped, or "".
func (s *Shared) end(test, skipped string, p part) error {
	test = s.pkg.TestName(test)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = s.partial || skipped != ""
	if before, again := s.parts[test]; again {
		p.flows = slices.Concat(before.flows, p.flows)
	}
	for _, other := range slices.Sorted(maps.Keys(s.parts)) {
		if _, err := policy.UniteScopes(s.parts[other].scope, p.scope); err != nil {
			return fmt.Errorf("%s is shared with %s: %w", s.relative(), other, err)
		}
	}
	s.parts[test] = p
	delete(s.begun, test)
	return nil
}

// whole returns the recordings of all tests that share the file. It returns false if a listed test has not recorded, or
// not completely.
func (s *Shared) whole(listed []string) (part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := func(test string) bool { _, recorded := s.parts[test]; return !recorded }
	if s.partial || len(s.begun) > 0 || slices.ContainsFunc(listed, missing) {
		return part{}, false
	}
	var all part
	var scopes []policy.Scope
	for _, test := range slices.Sorted(maps.Keys(s.parts)) {
		scopes = append(scopes, s.parts[test].scope)
		all.flows = append(all.flows, s.parts[test].flows...)
	}
	var err error
	all.scope, err = policy.UniteScopes(scopes...)
	return all, err == nil && len(scopes) > 0
}

func (s *Shared) isStrict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strict
}

func (s *Shared) relative() string { return s.pkg.Dir.Relative(s.path) }

// sharedHeader returns the header of a file that these tests share.
func (p Package) sharedHeader(tests []string) golden.Header {
	tests = slices.Clone(tests)
	slices.Sort(tests)
	return golden.Header{Tests: slices.Compact(tests), Command: p.Accept}
}

// listedIn returns the tests that share a file, according to its header. The file may be nil.
func listedIn(file *golden.File) []string {
	if file == nil {
		return nil
	}
	return file.Header.Tests
}

// existing divides the tests that share a file into those that exist and those that no longer do. A test no longer
// exists if it belongs to this package and is neither in names nor in the source files. The source counts because other
// builds may have tests that this binary lacks.
func (p Package) existing(listed, names []string) (kept, gone []string) {
	if len(listed) == 0 {
		return nil, nil
	}
	var inSource map[string]bool
	if p.SourceTests != nil {
		inSource = p.SourceTests()
	}
	known := len(names) > 0 || len(inSource) > 0
	for _, test := range listed {
		name, isOfPackage := strings.CutPrefix(test, p.TestName(""))
		top, _, _ := strings.Cut(name, "/")
		if isOfPackage && known && !slices.Contains(names, top) && !inSource[top] {
			gone = append(gone, test)
			continue
		}
		kept = append(kept, test)
	}
	return kept, gone
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
