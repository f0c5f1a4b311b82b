package netzerotest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
)

// sharing is a golden file that tests share, and what those of this process recorded for it.
type sharing struct {
	path string

	mu      sync.Mutex
	strict  bool
	cilium  bool
	begun   map[string]bool // tests that record, or failed to
	parts   map[string]part // of those that came to their end
	partial bool            // parts of a test may have been kept from running

	told map[string]string // flows and programs that a test has reported, and which test
}

// part is what one test recorded.
type part struct {
	scope policy.Scope
	flows []Flow
}

// sharings maps paths to the files that tests of this process share.
var sharings sync.Map

// share notes that a test of this process shares the file.
func (r *Recording) share() {
	found, _ := sharings.LoadOrStore(r.golden, &sharing{path: r.golden, begun: make(map[string]bool), parts: make(map[string]part)})
	r.shared = found.(*sharing)
	r.shared.mu.Lock()
	defer r.shared.mu.Unlock()
	r.shared.begun[r.sharedName()] = true
	r.shared.strict = r.shared.strict || r.config.strict
	r.shared.cilium = r.config.cilium
	r.shared.partial = r.shared.partial || isPartial(r.tb)
}

// sharedName is a test's name in the header of a shared file.
func (r *Recording) sharedName() string { return packagePath() + "." + r.tb.Name() }

// end takes in what a test recorded. Several runs of one test add up.
func (s *sharing) end(tb host, test string, p part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = s.partial || mayHaveSkipped(tb) != ""
	if before, again := s.parts[test]; again {
		p.flows = slices.Concat(before.flows, p.flows)
	}
	for _, other := range slices.Sorted(maps.Keys(s.parts)) {
		if _, err := policy.UniteScopes(s.parts[other].scope, p.scope); err != nil {
			return fmt.Errorf("%s is shared with %s: %w", relative(s.path), other, err)
		}
	}
	s.parts[test] = p
	delete(s.begun, test)
	return nil
}

// whole returns what all of the tests that share the file recorded, or false where one of them has not, or not all.
func (s *sharing) whole(listed []string) (part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	recorded := func(test string) bool { _, ok := s.parts[test]; return ok }
	if s.partial || len(s.begun) > 0 || slices.ContainsFunc(listed, func(test string) bool { return !recorded(test) }) {
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

// sharedHeader is the header of a shared file with these tests.
func sharedHeader(tests []string) golden.Header {
	tests = slices.Clone(tests)
	slices.Sort(tests)
	return golden.Header{Tests: slices.Compact(tests), Command: goTestAll()}
}

// listedIn returns the tests that share a file, as it says itself.
func listedIn(file *golden.File) []string {
	if file == nil {
		return nil
	}
	return file.Header.Tests
}

// notShared returns an error where a golden file is shared by others.
func notShared(file *golden.File) error {
	tests := listedIn(file)
	if len(tests) == 0 {
		return nil
	}
	return fmt.Errorf("%s is shared by %s: give this test the option Shared too, or a file of its own", relative(file.Path), tests[0]+more(len(tests)-1))
}

// existing returns which of the tests that share a file are there still, and which are gone: of this package, and neither
// among the names nor in its source files, of which other builds may have tests that this binary lacks.
func existing(listed, names []string) (kept, gone []string) {
	if len(listed) == 0 {
		return nil, nil
	}
	inSource := testsInSource()
	known := len(names) > 0 || len(inSource) > 0
	for _, test := range listed {
		own, isOwn := strings.CutPrefix(test, packagePath()+".")
		top, _, _ := strings.Cut(own, "/")
		if isOwn && known && !slices.Contains(names, top) && !inSource[top] {
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
