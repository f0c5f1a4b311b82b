package recorder

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

// endedByID maps the goroutine.ID of recordings that are over to their *[ending]: goroutines may be left behind.
var endedByID sync.Map

// markGoroutine makes what the calling goroutine opens, and what it starts, the member's; also where the program under test gives
// goroutines labels of its own.
func (m *Recording) markGoroutine() {
	c := m.recorder
	if c.unseparated != "" {
		return
	}
	m.unmark = goroutine.Mark(m.goroutine)
	m.labels = goroutine.Labels()
	err := errors.Join(c.session.Probe.Own(m.goroutine), c.session.Probe.OwnLabels(m.labels, m.goroutine))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
}

// Unmark takes back what mark did, on the goroutine that it was done to.
func (m *Recording) Unmark() error {
	if m.unmark == nil {
		return nil
	}
	probe := m.recorder.session.Probe
	err := probe.OwnLabels(m.labels, 0) // first: then they may go, and others come to where they were
	return errors.Join(err, probe.Own(m.unmark()))
}

// unattributed says who opened a flow that belongs to no recording in particular. It is zero where a flow belongs to one.
type unattributed struct {
	initiator string
	isTest    bool // its calls lead to a test, one that was not recorded
}

// recipients returns the recordings to which a flow belongs: the one whose goroutine opened it, with those that it is a part
// of; else all that were there, and then why.
func (r *Recorder) recipients(e *probe.FlowEvent) (to []*Recording, why unattributed) {
	var there []*Recording
	for _, m := range r.members {
		if e.Generation >= m.generation {
			there = append(there, m)
		}
	}
	if len(there) == 0 || e.Cgroup != r.session.Leaf.ID || r.unseparated != "" {
		return there, unattributed{} // whose a container is, is found out in the end
	}
	owner := slices.IndexFunc(there, func(m *Recording) bool { return m.goroutine == e.Recording })
	if e.Recording != 0 && owner >= 0 && !there[owner].isPackage {
		name := there[owner].test
		return slices.DeleteFunc(there, func(m *Recording) bool { return m.goroutine != e.Recording && !m.includes(name) }), unattributed{}
	}
	if over, is := endedByID.Load(e.Recording); is {
		left := over.(*endedRecording)
		if older := connectionUsers(e, there, left.name); len(older) > 0 {
			return older, unattributed{initiator: "by a goroutine or a process that " + left.name + " started, which had ended"}
		}
		return r.endedRecipients(there, left, e.Recording), unattributed{}
	}
	if test := followedTest(e.Recording); test != "" {
		others := func(m *Recording) bool { return !m.isPackage && m.test != test && !includes(test, m.test) }
		return slices.DeleteFunc(there, others), unattributed{initiator: "by a goroutine of " + test + ", or a process that it started"}
	}
	if test := r.unrecordedTest(e); test != "" {
		return there, unattributed{fmt.Sprintf("by %s, a test that was not recorded", test), true}
	}
	return there, unattributed{initiator: r.unattributedInitiator(e)}
}

// connectionUsers returns to which recordings something belongs that is sent over a connection from before them, by what a test that had
// ended started: to all of them, and to those around that test. It is not known for whom it is sent: net/http, for one, writes in
// goroutines of the connection's own, whoever asks. It returns nil where the connection is from before none of them.
func connectionUsers(e *probe.FlowEvent, there []*Recording, ended string) []*Recording {
	if !slices.ContainsFunc(there, func(m *Recording) bool { return m.openedBefore(e) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(there), func(m *Recording) bool { return !m.openedBefore(e) && !m.includes(ended) })
}

// unrecordedTest returns the function of the test that opened a flow, where that is none whose recording runs; "" where that is
// not known, since the flow's calls do not lead to a test.
func (r *Recorder) unrecordedTest(e *probe.FlowEvent) string {
	if e.Recording != 0 || e.Process.PID != r.self {
		return ""
	}
	function := testFunction(e.Process.Stack)
	test, _, _ := strings.Cut(function, ".") // without the number of a subtest's function
	if !strings.HasPrefix(test, "Test") || slices.ContainsFunc(r.members, func(m *Recording) bool { return m.test == test }) {
		return "" // a subtest, maybe, that has lost its label
	}
	return function
}

// unattributedInitiator says of whom any other flow is that belongs to no recording in particular.
func (r *Recorder) unattributedInitiator(e *probe.FlowEvent) string {
	own := e.Process.PID == r.self
	if e.Recording == goroutine.Unread {
		return "by a goroutine that could not be read at that moment, or a process that such a one started"
	}
	if own {
		return "by a goroutine that no recorded test started"
	}
	return "by a process that no recorded test started"
}

// unattributedNotices tells of flows that may be other tests', because nothing says whose goroutine opened them.
func (s *snapshot) unattributedNotices(all []attributedFlow) []string {
	others := strings.Join(slices.Sorted(maps.Keys(s.overlapping)), ", ")
	if s.unseparated != "" && others != "" {
		return []string{fmt.Sprintf("ran in parallel with %s: each of these recordings has the flows of all: %s", others, s.unseparated)}
	}
	texts := make(map[string]bool)
	for _, f := range all {
		if f.unattributed.initiator != "" && (others != "" || f.unattributed.isTest) && f.identity.Relation == endpoint.Other {
			texts[f.flow.Target()+" "+f.unattributed.initiator] = true
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
