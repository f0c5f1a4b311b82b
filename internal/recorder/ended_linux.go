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
func (m *Recording) end() *endedRecording {
	return &endedRecording{
		name: m.test, options: m.options, recording: weak.Make(m), identifier: m.identifier, source: m.source, started: m.started,
	}
}

// endedRecipients returns the recordings that get a flow of a test that has ended: the recordings that include the
// test, or else one that is compared with the golden file of the ended test. No other test is involved.
func (r *Recorder) endedRecipients(active []*Recording, e *endedRecording, key goroutine.ID) []*Recording {
	recordings := slices.DeleteFunc(active, func(m *Recording) bool { return !m.includes(e.name) })
	if slices.ContainsFunc(recordings, func(m *Recording) bool { return !m.isPackage }) {
		return recordings // the ended test was a subtest
	}
	ended := r.endedRecordings[key]
	if ended == nil {
		ended = &Recording{
			recorder: r, goroutine: key, test: e.name, ended: true, identifier: e.identifier, source: e.source,
			started: e.started, options: e.options, observations: make(map[observationKey]observation), overlapping: make(map[string]bool), infrastructure: make(map[infrastructureKey]observation),
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
		r.endedRecordings[key] = ended
	}
	return append(recordings, ended)
}

// allRecordings returns all recordings that can have flows, including those of ended tests.
func (r *Recorder) allRecordings() []*Recording {
	return slices.AppendSeq(slices.Clone(r.recordings), maps.Values(r.endedRecordings))
}

// Leftovers returns what ended tests have opened since they ended. Each flow is returned once.
func (m *Recording) Leftovers() []Ended {
	r := m.recorder
	err := r.session.Probe.Sync() // later events are for the next call
	r.mu.Lock()
	recordings := slices.SortedFunc(maps.Values(r.endedRecordings), func(a, b *Recording) int {
		return cmp.Or(cmp.Compare(a.test, b.test), cmp.Compare(a.goroutine, b.goroutine))
	})
	r.endedRecordings = nil
	r.fail(err)
	r.mu.Unlock()
	var all []Ended
	for _, m := range recordings {
		recorded, err := m.Resolve()
		all = append(all, Ended{m.goroutine, recorded, err})
	}
	return all
}
