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

// maxUnattributed bounds how many unattributed flows a notice lists.
const maxUnattributed = 5

// endedByID maps the goroutine.ID of ended recordings to their *endedRecording: a test may leave goroutines behind.
var endedByID sync.Map

// markGoroutine attributes what the calling goroutine and its descendants open to this recording, even if the program
// under test sets goroutine labels of its own.
func (m *Recording) markGoroutine() {
	r := m.recorder
	if r.unseparated != "" {
		return
	}
	m.unmark = goroutine.Mark(m.goroutine)
	m.labels = goroutine.Labels()
	err := errors.Join(r.session.Probe.AttributeGoroutine(m.goroutine), r.session.Probe.AttributeLabels(m.labels, m.goroutine))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(err)
}

// Unmark undoes markGoroutine. Call it on the same goroutine.
func (m *Recording) Unmark() error {
	if m.unmark == nil {
		return nil
	}
	probe := m.recorder.session.Probe
	err := probe.AttributeLabels(m.labels, 0) // before unmark: afterwards other labels may get the same address
	return errors.Join(err, probe.AttributeGoroutine(m.unmark()))
}

// unattributed describes the initiator of a flow that was attributed to no single recording. It is zero if the flow
// was.
type unattributed struct {
	initiator string
	isTest    bool // a test without a recording opened it
}

// recipients returns the recordings that a flow belongs to: the one of the goroutine that opened it, and those that
// include it. If there is none, it returns every active recording, and the initiator.
func (r *Recorder) recipients(e *probe.FlowEvent) (recordings []*Recording, why unattributed) {
	var active []*Recording
	for _, m := range r.recordings {
		if e.Generation >= m.generation {
			active = append(active, m)
		}
	}
	if len(active) == 0 || e.Cgroup != r.session.Leaf.ID || r.unseparated != "" {
		return active, unattributed{} // resolve finds the owner of a container
	}
	owner := slices.IndexFunc(active, func(m *Recording) bool { return m.goroutine == e.Recording })
	if e.Recording != 0 && owner >= 0 && !active[owner].isPackage {
		name := active[owner].test
		return slices.DeleteFunc(active, func(m *Recording) bool { return m.goroutine != e.Recording && !m.includes(name) }), unattributed{}
	}
	if value, found := endedByID.Load(e.Recording); found {
		ended := value.(*endedRecording)
		if older := connectionUsers(e, active, ended.name); len(older) > 0 {
			return older, unattributed{initiator: "by a goroutine or a process that " + ended.name + " started, which had ended"}
		}
		return r.endedRecipients(active, ended, e.Recording), unattributed{}
	}
	if test := followedTest(e.Recording); test != "" {
		others := func(m *Recording) bool { return !m.isPackage && m.test != test && !includes(test, m.test) }
		return slices.DeleteFunc(active, others), unattributed{initiator: "by a goroutine of " + test + ", or a process that it started"}
	}
	if test := r.unrecordedTest(e); test != "" {
		return active, unattributed{fmt.Sprintf("by %s, a test that was not recorded", test), true}
	}
	return active, unattributed{initiator: r.unattributedInitiator(e)}
}

// connectionUsers returns the recordings that get what an ended test's goroutines or processes send over a connection
// from before those recordings: each such recording, and those that include the test. The real user of the connection
// is unknown, because net/http, for one, writes in goroutines of the connection itself. It returns nil if no recording
// is younger than the connection.
func connectionUsers(e *probe.FlowEvent, active []*Recording, ended string) []*Recording {
	if !slices.ContainsFunc(active, func(m *Recording) bool { return m.openedBefore(e) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(active), func(m *Recording) bool { return !m.openedBefore(e) && !m.includes(ended) })
}

// unrecordedTest returns the function of the test that opened a flow, if that test has no recording. It returns "" if
// the flow's call stack does not lead to a test.
func (r *Recorder) unrecordedTest(e *probe.FlowEvent) string {
	if e.Recording != 0 || e.Process.PID != r.self {
		return ""
	}
	function := testFunction(e.Process.Stack)
	test, _, _ := strings.Cut(function, ".") // without the number of a subtest's function
	if !strings.HasPrefix(test, "Test") || slices.ContainsFunc(r.recordings, func(m *Recording) bool { return m.test == test }) {
		return "" // it may be a subtest that has lost its label
	}
	return function
}

// unattributedInitiator describes the initiator of any other flow that belongs to no single recording.
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

// unattributedNotices reports flows that may belong to other tests, because their goroutine is not known.
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
	if n := len(sorted); n > maxUnattributed {
		sorted = append(sorted[:maxUnattributed], fmt.Sprintf("and %d more", n-maxUnattributed))
	}
	text := strings.Join(sorted, "; ")
	if others == "" {
		return []string{fmt.Sprintf("ran in parallel with a test without Record, whose flows are in this recording: %s", text)}
	}
	return []string{fmt.Sprintf("ran in parallel with %s, and what was opened by none of them in particular is in all of their recordings: %s",
		others, text)}
}
