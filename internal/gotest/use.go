package gotest

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Use collects the results of a run of the package's tests: the golden files that recordings used, and the tests that
// ended. It is safe for use by several goroutines.
type Use struct {
	source Source

	mu      sync.Mutex
	goldens map[string]bool
	ran     map[string]bool // top-level tests and fuzz tests; false if one was skipped
	skipped bool            // a recorded test was skipped
}

// NewUse returns a Use of a run in which no test has ended yet.
func NewUse(source Source) *Use {
	return &Use{source: source, goldens: make(map[string]bool), ran: make(map[string]bool)}
}

// AddGolden registers the golden file of a recording, by its path and by its path without symbolic links.
func (u *Use) AddGolden(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.goldens[path] = true
	if real, err := filepath.EvalSymlinks(path); err == nil {
		u.goldens[real] = true
	}
}

// HasGolden reports whether a recording used the file.
func (u *Use) HasGolden(path string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	real, err := filepath.EvalSymlinks(path)
	return u.goldens[path] || err == nil && u.goldens[real]
}

// AddSkipped registers that a recorded test was skipped. Such a test may need rules that it did not use in this run.
func (u *Use) AddSkipped() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.skipped = true
}

// IsComplete reports whether the flags let all tests of the package run, and no recorded test was skipped.
func (u *Use) IsComplete() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return isWhole() && !u.skipped
}

// Ended registers a top-level test that has ended. With -count a test ends several times.
func (u *Use) Ended(test string, skipped bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, again := u.ran[test]
	u.ran[test] = !skipped && (before || !again)
}

// Whole reports whether tests are known to have run completely. Only the source of a test shows whether one of its
// subtests may have been skipped. Without any tests, it reports on all tests that ended.
func (u *Use) Whole(tests []string) bool {
	u.mu.Lock()
	ran := maps.Clone(u.ran)
	u.mu.Unlock()
	if len(tests) == 0 {
		return len(ran) > 0 && !slices.Contains(slices.Collect(maps.Values(ran)), false)
	}
	for _, test := range tests {
		top, _, isSubtest := strings.Cut(test, "/")
		if !ran[top] || isSubtest && (u.source.SkipInSubtests([]string{top}) != "" || u.source.methodsSkip()) {
			return false
		}
	}
	return true
}
