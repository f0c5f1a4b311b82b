package netzerotest

import (
	"sync"

	"github.com/netzero-dev/netzero/internal/check"
)

// recordedTests maps the [recorder.Recording.ID] of each recording of this process to its testOver.
var recordedTests sync.Map

// leftovers records which flows of ended tests were reported.
var leftovers check.Leftovers

// tellLeftovers fails the running test if an earlier test left behind flows that its own golden file does not allow.
// The message names the earlier test. Package testing does not allow failing a test that has ended.
func (r *Recording) tellLeftovers() {
	r.tb.Helper()
	for _, ended := range r.left {
		test, _ := recordedTests.Load(ended.ID)
		result, err := leftovers.Check(ended.Recorded, ended.Err, test.(testOver).options(), r.tb.Name())
		if err != nil {
			r.tb.Errorf("netzero: %v", err)
		} else if result.Failed() {
			r.tb.Errorf("%s", result)
		}
	}
}
