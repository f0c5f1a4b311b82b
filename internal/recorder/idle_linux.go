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
// A recorder that has seen a container do something does not become idle. An idle one does not resume if a container
// may have done something meanwhile: who started a container can only be found while it starts.

// seenEvents says what a recorder and the kernel's tables contain.
type seenEvents struct {
	answers    bool // of DNS
	containers bool // something that a container did
	flows      int  // and server names
}

// see notes an event. The caller holds mu.
func (r *Recorder) see(e probe.Event) {
	switch e.(type) {
	case *probe.DNSEvent:
		r.seen.answers = true
	case *probe.FlowEvent, *probe.NameEvent:
		r.seen.flows++
	}
	if cgroup, ok := cgroupOf(e); ok && cgroup != r.attribution.ownCgroup && !r.isUnrelated(cgroup) {
		r.seen.containers = true
	}
}

// cgroupOf returns the cgroup of an event, and false for an event that has none or is about another one.
func cgroupOf(e probe.Event) (uint64, bool) {
	switch e := e.(type) {
	case *probe.FlowEvent:
		return e.Cgroup, true
	case *probe.NameEvent:
		return e.Cgroup, true
	case *probe.BindEvent:
		return e.Cgroup, true
	case *probe.DNSEvent:
		return e.Cgroup, true
	case *probe.QuestionEvent:
		return e.Cgroup, true
	}
	return 0, false
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
	p := r.session.Probe
	if !p.ReportsCreation() || p.EntriesUnreported() != "" || r.enforcement.isEnabled() || r.requests.isActive() ||
		r.containers.begun.Load() || len(r.containers.startEvents.all()) > 0 {
		return false
	}
	if lost, err := p.Lost(); err != nil || lost != (probe.Loss{}) {
		return false // what was lost may be in the kernel's tables
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.containers.cgroups {
		if !isUnrelatedCgroup(r.containers.cgroups, id) && r.containers.older.container(id) == "" {
			return false
		}
	}
	return r.failure == nil && !r.seen.containers && len(r.containers.attachments) == 0 && len(r.containers.waits) == 0 &&
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
	if ok, err := p.Missed(r.missed); err != nil || !ok {
		return false
	}
	if r.seen.answers && p.ForgetNames() != nil {
		return false
	}
	r.seen.answers = false
	if r.seen.flows > mostIdleFlows {
		if p.ForgetFlows() != nil {
			return false
		}
		r.seen.flows = 0
	}
	p.Resume()
	return r.session.RenewSockets() == nil
}

// missed handles an event from the time in which the recorder was idle. It reports whether the event has no meaning for
// the next recording: it is about this process and its children, or about cgroups in no container.
func (r *Recorder) missed(e probe.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.see(e)
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
	}
	_, ok := cgroupOf(e)
	return ok && !r.seen.containers
}

// closeIdle closes the idle recorder, if there is one, and announces an error.
func closeIdle() {
	shared.Lock()
	defer shared.Unlock()
	if r := shared.idle; r != nil {
		if err := closeIdleRecorder(); err != nil {
			r.announce(fmt.Sprintf("after the recorded tests: %v", err))
		}
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
