package netzerotest

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A packageUse is what a run of the package's tests has shown so far: the golden files that recordings had, and the
// tests that ran.
type packageUse struct {
	mu      sync.Mutex
	goldens map[string]bool
	ran     map[string]bool // top-level tests and fuzz tests; false where one was skipped
}

// used is that of this process.
var used = newUse()

func newUse() *packageUse {
	return &packageUse{goldens: make(map[string]bool), ran: make(map[string]bool)}
}

// golden notes that a recording has a file, by whichever links.
func (u *packageUse) golden(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.goldens[path] = true
	if real, err := filepath.EvalSymlinks(path); err == nil {
		u.goldens[real] = true
	}
}

// HasGolden reports whether a recording had the file, by whichever links.
func (u *packageUse) HasGolden(path string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	real, err := filepath.EvalSymlinks(path)
	return u.goldens[path] || err == nil && u.goldens[real]
}

// ended notes that a test has run.
func (u *packageUse) ended(tb testing.TB) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, again := u.ran[tb.Name()] // by -count
	u.ran[tb.Name()] = !tb.Skipped() && (before || !again)
}

// Whole reports whether tests ran, each of them to its end, as far as package testing tells: of a subtest nobody knows
// but its parent's source. Without any tests it is about all of the package's.
func (u *packageUse) Whole(tests []string) bool {
	u.mu.Lock()
	ran := maps.Clone(u.ran)
	u.mu.Unlock()
	if len(tests) == 0 {
		return len(ran) > 0 && !slices.Contains(slices.Collect(maps.Values(ran)), false)
	}
	for _, test := range tests {
		top, _, isSubtest := strings.Cut(test, "/")
		if !ran[top] || isSubtest && (skipOf([]string{top}) != "" || methodsSkip()) {
			return false
		}
	}
	return true
}

// watch makes u know of the package's tests when they end. A test of which package testing does not let us know has not
// run.
func (u *packageUse) watch(m *testing.M) {
	if tests, ok := listOf[testing.InternalTest](m, "tests"); ok {
		for i, test := range tests {
			tests[i].F = func(t *testing.T) {
				defer u.ended(t)
				test.F(t)
			}
		}
	}
	if fuzzes, ok := listOf[testing.InternalFuzzTarget](m, "fuzzTargets"); ok {
		for i, fuzz := range fuzzes {
			fuzzes[i].Fn = func(f *testing.F) {
				defer u.ended(f)
				fuzz.Fn(f)
			}
		}
	}
}
