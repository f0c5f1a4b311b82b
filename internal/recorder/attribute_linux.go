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
	"github.com/netzero-dev/netzero/internal/recording"
)

// maxUnattributed bounds how many unattributed flows a notice lists.
const maxUnattributed = 5

// endedByID maps the goroutine.ID of ended recordings to their *endedRecording: a test may leave goroutines behind.
var endedByID sync.Map

// markGoroutine attributes what the calling goroutine and its descendants open to this recording, even if the program
// under test sets goroutine labels of its own.
func (rec *Recording) markGoroutine() {
	r := rec.recorder
	if r.attribution.unseparated != "" {
		return
	}
	rec.unmark = goroutine.Mark(rec.goroutine)
	rec.labels = goroutine.Labels()
	err := errors.Join(
		r.session.Probe.AttributeGoroutine(rec.goroutine), r.session.Probe.AttributeLabels(rec.labels, rec.goroutine),
	)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(err)
}

// Unmark undoes markGoroutine. Call it on the same goroutine.
func (rec *Recording) Unmark() error {
	if rec.unmark == nil {
		return nil
	}
	probe := rec.recorder.session.Probe
	err := probe.AttributeLabels(rec.labels, 0) // before unmark: afterwards other labels may get the same address
	return errors.Join(err, probe.AttributeGoroutine(rec.unmark()))
}

// attribution is the stage that decides which recordings a flow belongs to. Recorder.mu guards it.
type attribution struct {
	self        int    // this process
	ownCgroup   uint64 // of this process and its children
	unseparated string // why goroutines are not attributed to tests; empty if they are
	recordings  []*Recording
}

// unattributed describes the initiator of a flow that was attributed to no single recording. It is zero if the flow
// was.
type unattributed struct {
	initiator string
	isTest    bool // a test without a recording opened it
}

// recipients returns the recordings that a flow belongs to, and the initiator if it is attributed to none in
// particular.
func (r *Recorder) recipients(e *probe.FlowEvent) (recordings []*Recording, why unattributed) {
	recordings, ended, why := r.attribution.recipients(e)
	if ended != nil {
		recordings = append(recordings, r.recordingAfter(ended, e.Recording))
	}
	return recordings, why
}

// recipients returns the recordings that a flow belongs to. The first case that applies to its initiator decides:
//  1. A container, or any process if goroutines are not attributed: every active recording.
//  2. A test with an active recording: that one, and those that include it.
//  3. A test that has ended: the recordings that include it, and the ended test unless it was a subtest. For a
//     connection that is older than some recordings: those and the recordings that include the test, with the
//     initiator.
//  4. A test that a package's recording follows: the recordings of packages, of that test and of its subtests, with the
//     initiator.
//  5. A test without a recording, or anything else: every active recording, with the initiator.
func (a *attribution) recipients(
	e *probe.FlowEvent,
) (recordings []*Recording, ended *endedRecording, why unattributed) {
	var active []*Recording
	for _, rec := range a.recordings {
		if e.Generation >= rec.generation {
			active = append(active, rec)
		}
	}
	if len(active) == 0 || e.Cgroup != a.ownCgroup || a.unseparated != "" {
		return active, nil, unattributed{} // resolve finds the owner of a container
	}
	owner := slices.IndexFunc(active, func(rec *Recording) bool { return rec.goroutine == e.Recording })
	if e.Recording != 0 && owner >= 0 && !active[owner].isPackage {
		name := active[owner].test
		return slices.DeleteFunc(active, func(rec *Recording) bool {
			return rec.goroutine != e.Recording && !rec.includes(name)
		}), nil, unattributed{}
	}
	if value, found := endedByID.Load(e.Recording); found {
		ended := value.(*endedRecording)
		if older := connectionUsers(e, active, ended.name); len(older) > 0 {
			why.initiator = "by a goroutine or a process that " + ended.name + " started, which had ended"
			return older, nil, why
		}
		including := slices.DeleteFunc(active, func(rec *Recording) bool { return !rec.includes(ended.name) })
		if slices.ContainsFunc(including, func(rec *Recording) bool { return !rec.isPackage }) {
			return including, nil, unattributed{} // the ended test was a subtest
		}
		return including, ended, unattributed{}
	}
	if test := followedTest(e.Recording); test != "" {
		others := func(rec *Recording) bool { return !rec.isPackage && rec.test != test && !includes(test, rec.test) }
		why.initiator = "by a goroutine of " + test + ", or a process that it started"
		return slices.DeleteFunc(active, others), nil, why
	}
	if test := a.unrecordedTest(e); test != "" {
		return active, nil, unattributed{fmt.Sprintf("by %s, a test that was not recorded", test), true}
	}
	return active, nil, unattributed{initiator: a.unattributedInitiator(e)}
}

// connectionUsers returns the recordings that get what an ended test's goroutines or processes send over a connection
// from before those recordings: each such recording, and those that include the test. The real user of the connection
// is unknown, because net/http, for one, writes in goroutines of the connection itself. It returns nil if no recording
// is younger than the connection.
func connectionUsers(e *probe.FlowEvent, active []*Recording, ended string) []*Recording {
	if !slices.ContainsFunc(active, func(rec *Recording) bool { return rec.openedBefore(e) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(active), func(rec *Recording) bool {
		return !rec.openedBefore(e) && !rec.includes(ended)
	})
}

// unrecordedTest returns the function of the test that opened a flow, if that test has no recording. It returns "" if
// the flow's call stack does not lead to a test.
func (a *attribution) unrecordedTest(e *probe.FlowEvent) string {
	if e.Recording != 0 || e.Process.PID != a.self {
		return ""
	}
	function := testFunction(e.Process.Stack)
	test, _, _ := strings.Cut(function, ".") // without the number of a subtest's function
	if !strings.HasPrefix(test, "Test") ||
		slices.ContainsFunc(a.recordings, func(rec *Recording) bool { return rec.test == test }) {
		return "" // it may be a subtest that has lost its label
	}
	return function
}

// unattributedInitiator describes the initiator of any other flow that belongs to no single recording.
func (a *attribution) unattributedInitiator(e *probe.FlowEvent) string {
	own := e.Process.PID == a.self
	if e.Recording == goroutine.Unread {
		return "by a goroutine that could not be read at that moment, or a process that it started"
	}
	if own {
		return "by a goroutine that no recorded test started"
	}
	return "by a process that no recorded test started"
}

// unattributedNotices reports flows that may belong to other tests, because their goroutine is not known.
func (s *snapshot) unattributedNotices(all []resolvedFlow) []recording.Notice {
	others := strings.Join(slices.Sorted(maps.Keys(s.overlapping)), ", ")
	if s.unseparated != "" && others != "" {
		return []recording.Notice{recording.Noticef(recording.CodeUnseparatedGoroutines,
			"ran in parallel with %s: each of these recordings has the flows of all: %s", others, s.unseparated)}
	}
	texts := make(map[string]bool)
	for _, f := range all {
		if f.unattributed.initiator != "" && (others != "" ||
			f.unattributed.isTest) && f.identity.Relation == endpoint.Other {
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
		return []recording.Notice{recording.Noticef(recording.CodeUnrecordedTest,
			"ran in parallel with a test without Record, whose flows are in this recording: %s", text)}
	}
	return []recording.Notice{recording.Noticef(recording.CodeUnattributedGoroutine,
		"ran in parallel with %s: flows that belong to none of them in particular are in all of their recordings: "+
			"%s", others, text)}
}
