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

// ending is what is kept of a recording that is over.
type ending struct {
	name       string // the test's
	options    Options
	member     weak.Pointer[Recording] // the recording as it was
	identifier *endpoint.Identifier
	source     flow.Endpoint
	started    time.Duration
}

// end returns what is to be kept of the recording when it is over.
func (m *Recording) end() *ending {
	return &ending{
		name: m.name, options: m.options, member: weak.Make(m), identifier: m.identifier, source: m.source, started: m.started,
	}
}

// heirs returns to which recordings something belongs that a test opened after it had ended: to those around it, and to one that
// is judged by the ended test's golden file. No other test has anything to do with it.
func (c *Recorder) heirs(there []*Recording, e *ending, key goroutine.ID) []*Recording {
	to := slices.DeleteFunc(there, func(m *Recording) bool { return !m.includes(e.name) })
	if slices.ContainsFunc(to, func(m *Recording) bool { return !m.whole }) {
		return to // a test of which the ended one was a part
	}
	left := c.leftover[key]
	if left == nil {
		left = &Recording{
			recorder: c, goroutine: key, name: e.name, over: true, identifier: e.identifier, source: e.source,
			started: e.started, options: e.options, seen: make(map[observationKey]observation), alongside: make(map[string]bool), background: make(map[backgroundKey]observation),
		}
		if before := e.member.Value(); before != nil && before.recorder == c {
			left.id = before.id
			for _, claim := range c.containers.claims {
				if name, claimed := claim.by[before]; claimed {
					claim.by[left] = name
				}
			}
		}
		if c.leftover == nil {
			c.leftover = make(map[goroutine.ID]*Recording)
		}
		c.leftover[key] = left
	}
	return append(to, left)
}

// all returns the recordings that flows may belong to, of ended tests too.
func (c *Recorder) all() []*Recording {
	return slices.AppendSeq(slices.Clone(c.members), maps.Values(c.leftover))
}

// Leftovers returns what tests that have ended have opened since, each flow once.
func (m *Recording) Leftovers() []Ended {
	c := m.recorder
	err := c.session.Probe.Sync() // what is seen from now on is for the next one who asks
	c.mu.Lock()
	members := slices.SortedFunc(maps.Values(c.leftover), func(a, b *Recording) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.goroutine, b.goroutine))
	})
	c.leftover = nil
	c.fail(err)
	c.mu.Unlock()
	var left []Ended
	for _, m := range members {
		recorded, err := m.Resolve()
		left = append(left, Ended{m.goroutine, recorded, err})
	}
	return left
}
