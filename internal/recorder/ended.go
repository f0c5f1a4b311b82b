package recorder

import (
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/recording"
)

// Ended is what the goroutines and processes of a test opened after the test had ended.
type Ended struct {
	ID       goroutine.ID // of its recording, as [Recording.ID] returned it
	Recorded recording.Recording
	Err      error
}
