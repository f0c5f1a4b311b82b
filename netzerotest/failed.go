package netzerotest

import (
	"strings"
	"sync"
)

// failedHere holds the names of tests that NetZero has failed.
var failedHere sync.Map

// noteFailure notes that NetZero has failed a test: those around it have failed for no other reason, maybe.
func noteFailure(tb host) { failedHere.Store(tb.Name(), true) }

// forgetFailures forgets what is known of a test and its subtests, which may run again (go test -count).
func forgetFailures(tb host) {
	failedHere.Range(func(name, _ any) bool {
		if name == tb.Name() || contains(tb.Name(), name.(string)) {
			failedHere.Delete(name)
		}
		return true
	})
}

// failedByItself reports whether a test, or one of a package, has failed, and not because NetZero failed it or a part of
// it. Such a test is told nothing about its flows: they are those of a service that did not work.
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

// contains reports whether one test is another's subtest: sharing flows is what they are for.
func contains(parent, test string) bool { return strings.HasPrefix(test, parent+"/") }
