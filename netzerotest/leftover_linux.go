package netzerotest

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
	testOver
	member     weak.Pointer[membership] // the recording as it was
	identifier *endpoint.Identifier
	source     flow.Endpoint
	started    time.Duration
}

// end returns what is to be kept of the recording when it is over.
func (m *membership) end() *ending {
	return &ending{
		testOver: m.test, member: weak.Make(m), identifier: m.identifier, source: m.source, started: m.started,
	}
}

// heirs returns to which recordings something belongs that a test opened after it had ended: to those around it, and to one that
// is judged by the ended test's golden file. No other test has anything to do with it.
func (c *capture) heirs(there []*membership, e *ending, key goroutine.ID) []*membership {
	to := slices.DeleteFunc(there, func(m *membership) bool { return !m.includes(e.name) })
	if slices.ContainsFunc(to, func(m *membership) bool { return !m.whole }) {
		return to // a test of which the ended one was a part
	}
	left := c.leftover[key]
	if left == nil {
		left = &membership{
			capture: c, goroutine: key, name: e.name, over: true, test: e.testOver, identifier: e.identifier, source: e.source,
			started: e.started, config: e.config, seen: make(map[sightingKey]sighting), alongside: make(map[string]bool),
		}
		if before := e.member.Value(); before != nil && before.capture == c {
			left.id = before.id
			for _, claim := range c.containers.claims {
				if name, claimed := claim.by[before]; claimed {
					claim.by[left] = name
				}
			}
		}
		if c.leftover == nil {
			c.leftover = make(map[goroutine.ID]*membership)
		}
		c.leftover[key] = left
	}
	return append(to, left)
}

// all returns the recordings that flows may belong to, of ended tests too.
func (c *capture) all() []*membership {
	return slices.AppendSeq(slices.Clone(c.members), maps.Values(c.leftover))
}

// leftovers returns what tests that have ended have opened since, and that nobody has taken yet.
func (m *membership) leftovers() []leftover {
	c := m.capture
	err := c.session.Probe.Sync() // what is seen from now on is for the next one who asks
	c.mu.Lock()
	members := slices.SortedFunc(maps.Values(c.leftover), func(a, b *membership) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.goroutine, b.goroutine))
	})
	c.leftover = nil
	c.fail(err)
	c.mu.Unlock()
	var left []leftover
	for _, m := range members {
		recorded, err := m.settle()
		left = append(left, leftover{m.test, recorded, err})
	}
	return left
}
