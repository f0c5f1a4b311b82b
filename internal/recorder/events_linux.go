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
	batches := make(map[*Recording]*endpoint.Batch) // each reads the state of this machine once for all flows
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

// handleAnswer records a DNS answer, or a question over TCP. It skips everything else, because anything may be sent to
// the port of DNS.
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
		// Events from two CPUs may be reordered: re-evaluate flows that arrived before their DNS answer.
		for _, ambiguous := range r.ambiguous {
			if ambiguous.Cgroup == e.Cgroup && ambiguous.Since <= e.Time && e.Time <= time.Duration(ambiguous.Name) && answer.Has(ambiguous.Addr) {
				r.handleFlow(ambiguous, batches)
			}
		}
	}
}

// handleFlow adds a new flow to its recordings, under each candidate name.
func (r *Recorder) handleFlow(e *probe.FlowEvent, batches map[*Recording]*endpoint.Batch) {
	queried := r.names.Lookup(e.Cgroup, e.Addr, e.Question(), e.Since)
	names := queried
	if len(names) == 0 {
		names = []string{""}
	}
	var forgotten uint64
	if by := r.infrastructureOf(e); by != "" {
		ambiguous := false
		if ambiguous, forgotten = r.handleInfrastructure(e, by, names, batches); !ambiguous {
			return
		}
	}
	unserved := false
	recordings, why := r.recipients(e)
	for _, m := range recordings {
		for _, name := range names {
			identity := r.identify(m, e, name, batches)
			unserved = unserved || identity.Relation == endpoint.NoListener
			m.record(e, name, identity, why)
		}
		m.addCount(e.Key, forgotten)
	}
	if e.Protocol == flow.TCP {
		hints := r.hintsOf(e.Key)
		hints.event, hints.Candidates = e, queried
		for name, hint := range hints.Names {
			r.nameFlow(hints, name, hint.Evidence, batches)
		}
	}
	if unserved {
		r.invalidate(e.Key)
	}
}

// identify returns what the destination of a flow is to a recording, if the client meant name.
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

// observe returns an observation of a flow.
func (m *Recording) observe(e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed) observation {
	o := observation{
		event: e,
		name:  name,
		flow: flow.Flow{
			Source: m.source, Destination: identity.Endpoint, Protocol: e.Protocol, Port: identity.Port, ICMPType: e.ICMPType,
			First: max(e.Time-m.started, 0), Process: e.Process, Before: m.openedBefore(e),
		},
		identity:           identity,
		unattributed:       why,
		listenerContainers: m.recorder.containersOf(identity.Listener.PID),
	}
	if m.isPackage {
		o.flow.Process.Test = m.recorder.testOf(e)
	}
	return o
}

// record keeps an observation of a flow. If the kernel has forgotten the flow meanwhile, it is still the same
// observation.
func (m *Recording) record(e *probe.FlowEvent, name string, identity endpoint.Identity, why unattributed) {
	o := m.observe(e, name, identity, why)
	key := observationKey{e.Key, identity.Endpoint.Name}
	if earlier, known := m.observations[key]; known {
		o.flow.Count, o.flow.First, o.sentNames, o.lookedUpNames = earlier.flow.Count, earlier.flow.First, earlier.sentNames, earlier.lookedUpNames
	}
	if !slices.Contains(o.lookedUpNames, name) {
		o.lookedUpNames = append(slices.Clip(o.lookedUpNames), name)
	}
	m.observations[key] = o
}

// invalidate makes the kernel report the next connection of a flow again, because a process may listen there by then:
// tests retry until the server that they wait for is up.
func (r *Recorder) invalidate(k probe.Key) {
	count, err := r.session.Probe.Invalidate(k)
	if err != nil {
		return // nothing is lost: the observation stays as it is
	}
	for _, m := range r.allRecordings() {
		for key, o := range m.observations {
			if key.Key == k {
				o.flow.Count += count
				m.observations[key] = o
			}
		}
	}
}

// listeners records which recorded processes bound which local addresses, newest last.
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

func (l *listeners) add(e *probe.BindEvent, owner endpoint.Owner) {
	if l.owners == nil {
		l.owners = make(map[listenAddress][]listener)
	}
	key, entry := listenAddress{e.Netns, e.Protocol, e.Port}, listener{e.Addr, e.Cgroup, owner}
	l.owners[key] = append(slices.DeleteFunc(l.owners[key], func(o listener) bool { return o == entry }), entry)
}

// at returns the processes that bound the destination of a flow, or its port on all addresses.
func (l *listeners) at(k probe.Key) []endpoint.Owner {
	var owners []endpoint.Owner
	for _, o := range l.owners[listenAddress{k.Netns, k.Protocol, k.Port}] {
		if o.addr.IsUnspecified() || o.addr == k.Addr || k.Addr.IsUnspecified() && o.addr.IsLoopback() {
			owners = append(owners, o.Owner)
		}
	}
	return owners
}

// cgroupOf returns the cgroup of a process when it last bound an address, or 0.
func (l *listeners) cgroupOf(pid int) uint64 {
	for _, owners := range l.owners {
		for _, o := range owners {
			if o.PID == pid {
				return o.cgroup
			}
		}
	}
	return 0
}
