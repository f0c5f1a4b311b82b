package gotest

import (
	"strings"
	"sync"
)

// Failures are the tests that NetZero has failed. A test that contains one of them fails too, perhaps for this reason
// alone. The zero value is ready to use, by several goroutines.
type Failures struct{ tests sync.Map }

// Add records that NetZero has failed a test.
func (f *Failures) Add(test string) { f.tests.Store(test, true) }

// Forget removes a test and its subtests, because go test -count may run them again.
func (f *Failures) Forget(test string) {
	f.tests.Range(func(name, _ any) bool {
		if includes(test, name.(string)) {
			f.tests.Delete(name)
		}
		return true
	})
}

// Include reports whether NetZero has failed a test or one of its subtests.
func (f *Failures) Include(test string) bool {
	return f.any(func(name string) bool { return includes(test, name) })
}

// Any reports whether NetZero has failed any test.
func (f *Failures) Any() bool { return f.any(func(string) bool { return true }) }

func (f *Failures) any(is func(test string) bool) (found bool) {
	f.tests.Range(func(name, _ any) bool {
		found = is(name.(string))
		return !found
	})
	return found
}

// includes reports whether a test is the other one or one of its subtests.
func includes(parent, test string) bool { return test == parent || strings.HasPrefix(test, parent+"/") }
