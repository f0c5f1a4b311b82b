package recorder

import (
	"cmp"
	"maps"
	"slices"
	"time"
	"weak"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// endedRecording is what remains of a recording that has ended.
type endedRecording struct {
	name       string // of the test
	options    Options
	recording  weak.Pointer[Recording] // the recording itself
	identifier *endpoint.Identifier
	source     flow.Endpoint
	started    time.Duration
}

// end returns what remains of the recording.
func (rec *Recording) end() *endedRecording {
	return &endedRecording{
		name: rec.test, options: rec.options, recording: weak.Make(rec), identifier: rec.identifier,
		source: rec.source, started: rec.started,
	}
}

// recordingAfter returns the recording of what an ended test opens since it ended. It is compared with the golden file
// of that test. No other test is involved.
func (r *Recorder) recordingAfter(e *endedRecording, id goroutine.ID) *Recording {
	if ended := r.endedRecordings[id]; ended != nil {
		return ended
	}
	ended := &Recording{
		recorder: r, goroutine: id, test: e.name, ended: true, identifier: e.identifier, source: e.source,
		started: e.started, options: e.options, observations: make(observations),
		overlapping: make(map[string]bool), infrastructure: make(map[infrastructureKey]observation),
	}
	if recording := e.recording.Value(); recording != nil && recording.recorder == r {
		ended.id = recording.id
		for _, attached := range r.containers.attachments {
			if name, isAttached := attached.names[recording]; isAttached {
				attached.names[ended] = name
			}
		}
	}
	if r.endedRecordings == nil {
		r.endedRecordings = make(map[goroutine.ID]*Recording)
	}
	r.endedRecordings[id] = ended
	return ended
}

// allRecordings returns all recordings that can have flows, including those of ended tests.
func (r *Recorder) allRecordings() []*Recording {
	return slices.AppendSeq(slices.Clone(r.attribution.recordings), maps.Values(r.endedRecordings))
}

// Leftovers returns what ended tests have opened since they ended. Each flow is returned once.
func (rec *Recording) Leftovers() []Ended {
	r := rec.recorder
	err := r.session.Probe.Sync() // later events are for the next call
	r.mu.Lock()
	recordings := slices.SortedFunc(maps.Values(r.endedRecordings), func(a, b *Recording) int {
		return cmp.Or(cmp.Compare(a.test, b.test), cmp.Compare(a.goroutine, b.goroutine))
	})
	r.endedRecordings = nil
	r.fail(err)
	r.mu.Unlock()
	var all []Ended
	for _, rec := range recordings {
		recorded, err := rec.Resolve()
		all = append(all, Ended{rec.goroutine, recorded, err})
	}
	return all
}
