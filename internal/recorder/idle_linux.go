package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/probe"
)

// A recorder is idle between two tests that are recorded one after the other: its programs stay attached, and its
// process stays in its cgroup, because both take long to undo and to do again. Nothing of it runs in this process. The
// next recording resumes it, and finds nothing of the earlier ones: it starts with the sockets and processes that there
// are, as in a new recorder.
//
// A recorder with a container does not become idle, and one does not resume if a container may have started meanwhile:
// who started a container can only be found while it starts.

// seenEvents says what the kernel's tables of a recorder contain.
type seenEvents struct {
	answers bool // of DNS
	flows   int  // and server names
}

func (s *seenEvents) add(e probe.Event) {
	switch e.(type) {
	case *probe.DNSEvent:
		s.answers = true
	case *probe.FlowEvent, *probe.NameEvent:
		s.flows++
	}
}

// mostIdleFlows is how many flows an idle recorder may leave in the kernel's tables.
const mostIdleFlows = 1024

// pause makes a recorder idle without recordings. It returns false if that is not possible: then the recorder must be
// closed.
func (r *Recorder) pause() bool {
	if !r.mayPause() || r.session.Probe.Pause() != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.earlierConnections = shared.connections
	r.correlation, r.listeners, r.endedRecordings = correlation{}, listeners{}, nil
	return r.failure == nil
}

// mayPause reports whether a recorder has nothing that only lasts while it is active, or that its next recording would
// find.
func (r *Recorder) mayPause() bool {
	if r.enforcement.isEnabled() || r.requests.isActive() || r.containers.begun.Load() ||
		len(r.containers.startEvents.all()) > 0 || len(r.containers.older.all()) > 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers.cgroups {
		if c.path == "" || len(c.ids) > 0 {
			return false
		}
	}
	return r.failure == nil && len(r.containers.attachments) == 0 && len(r.containers.waits) == 0 &&
		r.containers.runs.IsEmpty()
}

// resumed returns the idle recorder, active again. It returns nil if there is none; one that cannot be resumed is
// closed. The caller holds shared.
func resumed(sizes probe.Sizes) (*Recorder, error) {
	if r := shared.idle; r != nil && r.sizes == sizes && r.resume() {
		shared.idle = nil
		return r, nil
	}
	return nil, closeIdleRecorder()
}

// resume makes an idle recorder active. It returns false if that is not possible: then the recorder must be closed.
func (r *Recorder) resume() bool {
	if r.session.Leaf.Check() != nil {
		return false
	}
	p := r.session.Probe
	if ok, err := p.Resume(r.missed); err != nil || !ok {
		return false
	}
	r.mu.Lock()
	seen := r.seen
	r.mu.Unlock()
	if seen.answers && p.ForgetNames() != nil {
		return false
	}
	if seen.flows > mostIdleFlows {
		if p.ForgetFlows() != nil {
			return false
		}
		seen.flows = 0
	}
	r.mu.Lock()
	r.seen = seenEvents{flows: seen.flows}
	r.mu.Unlock()
	return r.session.RenewSockets() == nil
}

// missed handles an event from the time in which the recorder was idle. It reports whether the event has no meaning for
// the next recording: it is about this process and its children, or about cgroups in no container.
func (r *Recorder) missed(e probe.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.add(e)
	switch e := e.(type) {
	case *probe.MkdirEvent:
		id, _ := containerAt(e.Path)
		return id == ""
	case *probe.CgroupEvent:
		if !isOutsideContainers(e) {
			return false
		}
		r.handleCgroup(e)
		return r.session.Probe.Ignore(e.Cgroup) == nil
	case *probe.FlowEvent:
		return r.isOwnOrUnrelated(e.Cgroup)
	case *probe.NameEvent:
		return r.isOwnOrUnrelated(e.Cgroup)
	case *probe.BindEvent:
		return r.isOwnOrUnrelated(e.Cgroup)
	case *probe.DNSEvent:
		return r.isOwnOrUnrelated(e.Cgroup)
	case *probe.QuestionEvent:
		return r.isOwnOrUnrelated(e.Cgroup)
	}
	return false
}

func (r *Recorder) isOwnOrUnrelated(cgroup uint64) bool {
	return cgroup == r.attribution.ownCgroup || r.isUnrelated(cgroup)
}

// closeIdle closes the idle recorder, if there is one.
func closeIdle(announce func(string)) {
	shared.Lock()
	defer shared.Unlock()
	if err := closeIdleRecorder(); err != nil {
		announce(fmt.Sprintf("after all tests: %v", err))
	}
}

// closeIdleRecorder closes the idle recorder, if there is one. The caller holds shared.
func closeIdleRecorder() error {
	r := shared.idle
	if r == nil {
		return nil
	}
	shared.idle = nil
	return r.close()
}
