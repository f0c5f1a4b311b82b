package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// handle handles events in the order of the kernel: an answer comes before the flow that followed it. Events that
// arrive before the session is open are kept for later.
func (r *Recorder) handle(events []probe.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil {
		r.early = append(r.early, events...)
		return
	}
	r.handleEvents(events)
}

// handleEvents is handle for a caller that holds mu. It handles new cgroups first, so that a flood from an unrelated
// one is cut off early.
func (r *Recorder) handleEvents(events []probe.Event) {
	for _, e := range events {
		if e, ok := e.(*probe.CgroupEvent); ok {
			r.handleCgroup(e)
		}
	}
	machine := make(machineReadings)
	for _, e := range events {
		r.see(e)
		switch e := e.(type) {
		case *probe.DNSEvent:
			if e.Sent {
				r.handleTCPQuestion(e)
			} else {
				r.handleAnswer(e, machine)
			}
		case *probe.QuestionEvent:
			if !r.isUnrelated(e.Cgroup) {
				r.handleQuestion(e)
			}
		case *probe.ClientEvent:
			r.containers.handleClient(e)
		case *probe.BindEvent:
			r.listeners.add(e, endpoint.Owner{PID: e.Process.PID, Name: e.Process.Name})
		case *probe.FlowEvent:
			if r.isUnrelated(e.Cgroup) {
				continue
			}
			if e.Connection() != 0 {
				r.handleConnection(e, machine)
				continue
			}
			r.handleFlow(e, machine)
			if e.Since != 0 {
				r.correlation.ambiguous = append(r.correlation.ambiguous, e)
			}
		case *probe.NameEvent:
			if !r.isUnrelated(e.Cgroup) {
				r.handleName(e, machine)
			}
		}
	}
}

// handleAnswer records a DNS answer.
func (r *Recorder) handleAnswer(e *probe.DNSEvent, machine machineReadings) {
	const response = 0x80
	if e.Cut > 0 && len(e.Payload) > 2 && e.Payload[2]&response != 0 {
		r.fail(fmt.Errorf("read a DNS answer: it has %d bytes, of which at most %d are read",
			len(e.Payload)+e.Cut, len(e.Payload)))
		return
	}
	for _, answer := range r.correlation.answersIn(e) {
		r.recordAnswered(e, answer)
		for _, f := range r.correlation.reordered(e, answer) {
			r.handleFlow(f, machine)
		}
	}
}

// handleFlow adds a new flow to its recordings, under each candidate name.
func (r *Recorder) handleFlow(e *probe.FlowEvent, machine machineReadings) {
	queried := r.correlation.candidates(e.Key)
	names := queried
	if len(names) == 0 {
		names = []string{""}
	}
	var forgotten uint64
	if by := r.infrastructureOf(e); by != "" {
		ambiguous := false
		if ambiguous, forgotten = r.handleInfrastructure(e, by, names, machine); !ambiguous {
			r.requests.noteOpener(e, true)
			return
		}
	}
	r.requests.noteOpener(e, false)
	unserved := false
	recordings, why := r.recipients(e)
	for _, rec := range recordings {
		for _, name := range names {
			identity := r.identify(rec, e, name, machine)
			unserved = unserved || identity.Relation == endpoint.NoListener
			rec.record(e, name, identity, why)
		}
		rec.addCount(e.Key, forgotten)
	}
	if e.Protocol == flow.TCP {
		hints := r.correlation.hintsOf(e.Key)
		hints.event, hints.Candidates = e, queried
		for name, hint := range hints.Names {
			r.nameFlow(hints, name, hint.Evidence, machine)
		}
	}
	if unserved {
		r.invalidate(e.Key)
	}
}

// invalidate makes the kernel report the next connection of a flow again, because a process may listen there by then:
// tests retry until the server that they wait for is up.
func (r *Recorder) invalidate(k probe.Key) {
	count, err := r.session.Probe.Invalidate(k)
	if err != nil {
		return // nothing is lost: the observation stays as it is
	}
	for _, rec := range r.allRecordings() {
		rec.addCount(k, count)
	}
}
