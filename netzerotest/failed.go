package netzerotest

import (
	"strings"
	"sync"
)

// failedHere holds the names of tests that NetZero has failed.
var failedHere sync.Map

// noteFailure records that NetZero has failed a test. Tests that contain it may have failed for this reason alone.
func noteFailure(tb host) { failedHere.Store(tb.Name(), true) }

// forgetFailures removes the records of a test and its subtests, because go test -count may run them again.
func forgetFailures(tb host) {
	failedHere.Range(func(name, _ any) bool {
		if name == tb.Name() || contains(tb.Name(), name.(string)) {
			failedHere.Delete(name)
		}
		return true
	})
}

// failedByItself reports whether a test, or a test of a package, has failed for another reason than NetZero. The flows
// of such a test are not reported, because they are those of a service that did not work.
func failedByItself(tb host) bool {
	if !tb.Failed() {
		return false
	}
	byItself := true
	failedHere.Range(func(name, _ any) bool {
		if isPackage(tb) || name == tb.Name() || contains(tb.Name(), name.(string)) {
			byItself = false
		}
		return byItself
	})
	return byItself
}

// contains reports whether one test is a subtest of another. The two share flows by design.
func contains(parent, test string) bool { return strings.HasPrefix(test, parent+"/") }
