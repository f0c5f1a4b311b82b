package netzerotest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
)

// maxMixed is how many flows a notice names that may be another test's.
const maxMixed = 5

// ended maps the goroutine.ID of recordings that are over to their *[ending]: goroutines may be left behind.
var ended sync.Map

// mark makes what the calling goroutine opens, and what it starts, the member's; also where the program under test gives
// goroutines labels of its own.
func (m *membership) mark() {
	c := m.capture
	if c.mixed != "" {
		return
	}
	m.unmark = goroutine.Mark(m.goroutine)
	m.labels = goroutine.Labels()
	err := errors.Join(c.session.Probe.AttributeGoroutine(m.goroutine), c.session.Probe.AttributeLabels(m.labels, m.goroutine))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
}

// release takes back what mark did, on the goroutine that it was done to.
func (m *membership) release() error {
	if m.unmark == nil {
		return nil
	}
	probe := m.capture.session.Probe
	err := probe.AttributeLabels(m.labels, 0) // first: then they may go, and others come to where they were
	return errors.Join(err, probe.AttributeGoroutine(m.unmark()))
}

// stray says who opened a flow that belongs to no recording in particular. It is zero where a flow belongs to one.
type stray struct {
	by   string
	test bool // its calls lead to a test, one that was not recorded
}

// recipients returns the recordings to which a flow belongs: the one whose goroutine opened it, with those that it is a part
// of; else all that were there, and then why.
func (c *capture) recipients(e *probe.FlowEvent) (to []*membership, why stray) {
	var there []*membership
	for _, m := range c.members {
		if e.Generation >= m.generation {
			there = append(there, m)
		}
	}
	if len(there) == 0 || e.Cgroup != c.session.Leaf.ID || c.mixed != "" {
		return there, stray{} // whose a container is, is found out in the end
	}
	owner := slices.IndexFunc(there, func(m *membership) bool { return m.goroutine == e.Recording })
	if e.Recording != 0 && owner >= 0 && !there[owner].whole {
		name := there[owner].name
		return slices.DeleteFunc(there, func(m *membership) bool { return m.goroutine != e.Recording && !m.includes(name) }), stray{}
	}
	if over, is := ended.Load(e.Recording); is {
		left := over.(*ending)
		if older := usersOf(e, there, left.name); len(older) > 0 {
			return older, stray{by: "by a goroutine or a process that " + left.name + " started, which had ended"}
		}
		return c.heirs(there, left, e.Recording), stray{}
	}
	if test := followedTest(e.Recording); test != "" {
		others := func(m *membership) bool { return !m.whole && m.name != test && !contains(test, m.name) }
		return slices.DeleteFunc(there, others), stray{by: "by a goroutine of " + test + ", or a process that it started"}
	}
	if test := c.unrecorded(e); test != "" {
		return there, stray{fmt.Sprintf("by %s, a test that was not recorded", test), true}
	}
	return there, stray{by: c.unowned(e)}
}

// usersOf returns to which recordings something belongs that is sent over a connection from before them, by what a test that had
// ended started: to all of them, and to those around that test. It is not known for whom it is sent: net/http, for one, writes in
// goroutines of the connection's own, whoever asks. It returns nil where the connection is from before none of them.
func usersOf(e *probe.FlowEvent, there []*membership, ended string) []*membership {
	if !slices.ContainsFunc(there, func(m *membership) bool { return m.openedBefore(e) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(there), func(m *membership) bool { return !m.openedBefore(e) && !m.includes(ended) })
}

// unrecorded returns the function of the test that opened a flow, where that is none whose recording runs; "" where that is
// not known, since the flow's calls do not lead to a test.
func (c *capture) unrecorded(e *probe.FlowEvent) string {
	if e.Recording != 0 || e.Process.PID != c.self {
		return ""
	}
	function := testFunction(e.Process.Stack)
	test, _, _ := strings.Cut(function, ".") // without the number of a subtest's function
	if !strings.HasPrefix(test, "Test") || slices.ContainsFunc(c.members, func(m *membership) bool { return m.name == test }) {
		return "" // a subtest, maybe, that has lost its label
	}
	return function
}

// unowned says of whom any other flow is that belongs to no recording in particular.
func (c *capture) unowned(e *probe.FlowEvent) string {
	own := e.Process.PID == c.self
	if e.Recording == goroutine.Unread {
		return "by a goroutine that could not be read at that moment, or a process that such a one started"
	}
	if own {
		return "by a goroutine that no recorded test started"
	}
	return "by a process that no recorded test started"
}

// mixedNotices tells of flows that may be other tests', because nothing says whose goroutine opened them. The caller
// holds capture.mu.
func (m *membership) mixedNotices(all []settled) []string {
	others := strings.Join(slices.Sorted(maps.Keys(m.alongside)), ", ")
	if m.capture.mixed != "" && others != "" {
		return []string{fmt.Sprintf("ran in parallel with %s: each of these recordings has the flows of all: %s", others, m.capture.mixed)}
	}
	texts := make(map[string]bool)
	for _, f := range all {
		if f.stray.by != "" && (others != "" || f.stray.test) && f.identity.Relation == endpoint.Other {
			texts[f.flow.Target()+" "+f.stray.by] = true
		}
	}
	if len(texts) == 0 {
		return nil
	}
	sorted := slices.Sorted(maps.Keys(texts))
	if n := len(sorted); n > maxMixed {
		sorted = append(sorted[:maxMixed], fmt.Sprintf("and %d more", n-maxMixed))
	}
	text := strings.Join(sorted, "; ")
	if others == "" {
		return []string{fmt.Sprintf("ran in parallel with a test without Record, whose flows are in this recording: %s", text)}
	}
	return []string{fmt.Sprintf("ran in parallel with %s, and what was opened by none of them in particular is in all of their recordings: %s",
		others, text)}
}
