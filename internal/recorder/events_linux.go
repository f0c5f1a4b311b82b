package recorder

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// handle takes in events in the order in which the kernel saw them: an answer before the flow that followed it. What comes
// before the session is there waits for it.
func (r *Recorder) handle(events []probe.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil {
		r.early = append(r.early, events...)
		return
	}
	r.handleEvents(events)
}

// handleEvents is handle for a caller that holds mu. Births come first: who is nobody's may be flooding the kernel's buffers while
// we look at what others did.
func (r *Recorder) handleEvents(events []probe.Event) {
	for _, e := range events {
		if e, ok := e.(*probe.CgroupEvent); ok {
			r.handleCgroup(e)
		}
	}
	batches := make(map[*Recording]*endpoint.Batch) // one look at this machine for all flows that came together
	for _, e := range events {
		switch e := e.(type) {
		case *probe.DNSEvent:
			r.handleAnswer(e, batches)
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
				r.handleConnection(e, batches)
				continue
			}
			r.handleFlow(e, batches)
			if e.Since != 0 {
				r.ambiguous = append(r.ambiguous, e)
			}
		case *probe.NameEvent:
			if !r.isUnrelated(e.Cgroup) {
				r.handleName(e, batches)
			}
		}
	}
}

// handleAnswer remembers what a DNS answer says. What is no answer is not ours to complain about.
func (r *Recorder) handleAnswer(e *probe.DNSEvent, batches map[*Recording]*endpoint.Batch) {
	messages := [][]byte{e.Payload}
	if e.Sent {
		r.handleTCPQuestion(e)
		return
	}
	const response = 0x80
	if e.Cut > 0 && len(e.Payload) > 2 && e.Payload[2]&response != 0 {
		r.fail(fmt.Errorf("read a DNS answer: it has %d bytes, of which at most %d are read", len(e.Payload)+e.Cut, len(e.Payload)))
		return
	}
	if e.Protocol == flow.TCP {
		messages, _ = r.answerStreams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	}
	for _, m := range messages {
		answer, err := dns.Parse(m)
		if err != nil || e.Protocol == flow.TCP && !r.isAnswer(e, m, answer.Question) {
			continue
		}
		r.names.Record(e.Cgroup, answer, e.Time)
		r.recordAnswered(e, answer)
		// A connection on another CPU may have been told of before an answer that counted for it.
		for _, flow := range r.ambiguous {
			if flow.Cgroup == e.Cgroup && flow.Since <= e.Time && e.Time <= time.Duration(flow.Name) && answer.Has(flow.Addr) {
				r.handleFlow(flow, batches)
			}
		}
	}
}

// handleFlow gives a new flow to the recordings to which it belongs, under each name that may be meant.
func (r *Recorder) handleFlow(e *probe.FlowEvent, batches map[*Recording]*endpoint.Batch) {
	asked := r.names.Lookup(e.Cgroup, e.Addr, e.Question(), e.Since)
	names := asked
	if len(names) == 0 {
		names = []string{""}
	}
	var forgotten uint64
	if by := r.infrastructureOf(e); by != "" {
		own := false
		if own, forgotten = r.handleInfrastructure(e, by, names, batches); !own {
			return
		}
	}
	unserved := false
	to, stray := r.recipients(e)
	for _, m := range to {
		for _, name := range names {
			identity := r.identify(m, e, name, batches)
			unserved = unserved || identity.Relation == endpoint.NoListener
			m.record(e, name, identity, stray)
		}
		m.addCount(e.Key, forgotten)
	}
	if e.Protocol == flow.TCP {
		hints := r.hintsOf(e.Key)
		hints.event, hints.Candidates = e, asked
		for name, hint := range hints.Names {
			r.nameFlow(hints, name, hint.Evidence, batches)
		}
	}
	if unserved {
		r.invalidate(e.Key)
	}
}

// identify says what a flow is to a recording, if this name was meant.
func (r *Recorder) identify(m *Recording, e *probe.FlowEvent, name string, batches map[*Recording]*endpoint.Batch) endpoint.Identity {
	if batches[m] == nil {
		batches[m] = m.identifier.Batch()
	}
	contained := e.Cgroup != r.session.Leaf.ID
	b := batches[m]
	identity := b.Identify(endpoint.Query{
		PID: e.Process.PID, Protocol: e.Protocol, Addr: e.Addr, Port: e.Port, Name: name, Bound: r.listeners.at(e.Key),
		Container: contained, OwnNetwork: contained && e.Netns != r.session.Self.Netns,
		OtherNetwork: !contained && e.Netns != 0 && e.Netns != r.session.Self.Netns, MaybeOtherNetwork: !contained && e.Netns == 0,
	})
	if err := b.Err(); err != nil && r.failure == nil {
		r.fail(fmt.Errorf("look at this machine: %w", err))
	}
	return identity
}

// observe returns what a flow was found to be.
func (m *Recording) observe(e *probe.FlowEvent, name string, identity endpoint.Identity, stray unattributed) observation {
	s := observation{
		event: e,
		name:  name,
		flow: flow.Flow{
			Source: m.source, Destination: identity.Endpoint, Protocol: e.Protocol, Port: identity.Port, ICMPType: e.ICMPType,
			First: max(e.Time-m.started, 0), Process: e.Process, Before: m.openedBefore(e),
		},
		identity:           identity,
		unattributed:       stray,
		listenerContainers: m.recorder.containersOf(identity.Listener.PID),
	}
	if m.isPackage {
		s.flow.Process.Test = m.recorder.testOf(e)
	}
	return s
}

// record keeps what a flow was found to be. One that was forgotten in the kernel meanwhile is the same flow still.
func (m *Recording) record(e *probe.FlowEvent, name string, identity endpoint.Identity, stray unattributed) {
	s := m.observe(e, name, identity, stray)
	key := observationKey{e.Key, identity.Endpoint.Name}
	if before, again := m.observations[key]; again {
		s.flow.Count, s.flow.First, s.sentNames, s.lookedUpNames = before.flow.Count, before.flow.First, before.sentNames, before.lookedUpNames
	}
	if !slices.Contains(s.lookedUpNames, name) {
		s.lookedUpNames = append(slices.Clip(s.lookedUpNames), name)
	}
	m.observations[key] = s
}

// invalidate lets the next connection to an address be looked at again, because somebody may listen there by then: tests
// try until the server that they wait for is up.
func (r *Recorder) invalidate(k probe.Key) {
	count, err := r.session.Probe.Forget(k)
	if err != nil {
		return // nothing is lost: the flow stays as it was seen
	}
	for _, m := range r.allRecordings() {
		for key, s := range m.observations {
			if key.Key == k {
				s.flow.Count += count
				m.observations[key] = s
			}
		}
	}
}

// listeners remembers which processes in scope took which local addresses, newest last.
type listeners struct {
	owners map[listenAddress][]listener
}

type listenAddress struct {
	netns    uint64
	protocol flow.Protocol
	port     uint16
}

type listener struct {
	addr   netip.Addr
	cgroup uint64
	endpoint.Owner
}

func (b *listeners) add(e *probe.BindEvent, owner endpoint.Owner) {
	if b.owners == nil {
		b.owners = make(map[listenAddress][]listener)
	}
	key, entry := listenAddress{e.Netns, e.Protocol, e.Port}, listener{e.Addr, e.Cgroup, owner}
	b.owners[key] = append(slices.DeleteFunc(b.owners[key], func(o listener) bool { return o == entry }), entry)
}

// at returns who took an address to which a flow goes, or all addresses.
func (b *listeners) at(k probe.Key) []endpoint.Owner {
	var owners []endpoint.Owner
	for _, o := range b.owners[listenAddress{k.Netns, k.Protocol, k.Port}] {
		if o.addr.IsUnspecified() || o.addr == k.Addr || k.Addr.IsUnspecified() && o.addr.IsLoopback() {
			owners = append(owners, o.Owner)
		}
	}
	return owners
}

// cgroupOf returns the cgroup in which a process was when it was seen to bind last, or 0.
func (b *listeners) cgroupOf(pid int) uint64 {
	for _, owners := range b.owners {
		for _, o := range owners {
			if o.PID == pid {
				return o.cgroup
			}
		}
	}
	return 0
}
