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

// endedRecording is what is kept of a recording that is over.
type endedRecording struct {
	name       string // the test's
	options    Options
	member     weak.Pointer[Recording] // the recording as it was
	identifier *endpoint.Identifier
	source     flow.Endpoint
	started    time.Duration
}

// end returns what is to be kept of the recording when it is over.
func (m *Recording) end() *endedRecording {
	return &endedRecording{
		name: m.test, options: m.options, member: weak.Make(m), identifier: m.identifier, source: m.source, started: m.started,
	}
}

// endedRecipients returns to which recordings something belongs that a test opened after it had ended: to those around it, and to one that
// is judged by the ended test's golden file. No other test has anything to do with it.
func (r *Recorder) endedRecipients(there []*Recording, e *endedRecording, key goroutine.ID) []*Recording {
	to := slices.DeleteFunc(there, func(m *Recording) bool { return !m.includes(e.name) })
	if slices.ContainsFunc(to, func(m *Recording) bool { return !m.isPackage }) {
		return to // a test of which the ended one was a part
	}
	left := r.endedRecordings[key]
	if left == nil {
		left = &Recording{
			recorder: r, goroutine: key, test: e.name, ended: true, identifier: e.identifier, source: e.source,
			started: e.started, options: e.options, observations: make(map[observationKey]observation), overlapping: make(map[string]bool), infrastructure: make(map[infrastructureKey]observation),
		}
		if before := e.member.Value(); before != nil && before.recorder == r {
			left.id = before.id
			for _, claim := range r.containers.attachments {
				if name, claimed := claim.names[before]; claimed {
					claim.names[left] = name
				}
			}
		}
		if r.endedRecordings == nil {
			r.endedRecordings = make(map[goroutine.ID]*Recording)
		}
		r.endedRecordings[key] = left
	}
	return append(to, left)
}

// allRecordings returns the recordings that flows may belong to, of ended tests too.
func (r *Recorder) allRecordings() []*Recording {
	return slices.AppendSeq(slices.Clone(r.members), maps.Values(r.endedRecordings))
}

// Leftovers returns what tests that have ended have opened since, each flow once.
func (m *Recording) Leftovers() []Ended {
	c := m.recorder
	err := c.session.Probe.Sync() // what is seen from now on is for the next one who asks
	c.mu.Lock()
	members := slices.SortedFunc(maps.Values(c.endedRecordings), func(a, b *Recording) int {
		return cmp.Or(cmp.Compare(a.test, b.test), cmp.Compare(a.goroutine, b.goroutine))
	})
	c.endedRecordings = nil
	c.fail(err)
	c.mu.Unlock()
	var left []Ended
	for _, m := range members {
		recorded, err := m.Resolve()
		left = append(left, Ended{m.goroutine, recorded, err})
	}
	return left
}
