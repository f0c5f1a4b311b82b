package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/recording"
)

// leftover is what was opened by goroutines and processes of a test that had ended.
type leftover struct {
	test     testOver
	recorded recording.Recording
	err      error
}

// leftovers remembers which flows of ended tests were reported.
var leftovers check.Leftovers

// tellLeftovers fails the test if a test that ended before has left behind what its own golden file does not allow. The
// text names that test. Package testing lets nobody fail a test that has ended.
func (r *Recording) tellLeftovers() {
	r.tb.Helper()
	for _, left := range r.left {
		result, err := leftovers.Check(left.recorded, left.err, left.test.options(), r.tb.Name())
		if err != nil {
			r.tb.Errorf("netzero: %v", err)
		} else if result.Failed() {
			r.tb.Errorf("%s", result)
		}
	}
}
