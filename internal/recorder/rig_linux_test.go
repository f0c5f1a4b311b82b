package recorder

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// startRecorder returns a recorder of this process that the cleanup of the test closes. It requires root.
func startRecorder(t *testing.T) *Recorder {
	t.Helper()
	testenv.RequireRoot(t)
	r, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}
