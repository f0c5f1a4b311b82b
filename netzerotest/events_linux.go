package netzerotest

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
func (c *capture) handle(events []probe.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		c.early = append(c.early, events...)
		return
	}
	c.take(events)
}

// take is handle for a caller that holds mu. Births come first: who is nobody's may be flooding the kernel's buffers while
// we look at what others did.
func (c *capture) take(events []probe.Event) {
	for _, e := range events {
		if e, ok := e.(*probe.CgroupEvent); ok {
			c.born(e)
		}
	}
	batches := make(map[*membership]*endpoint.Batch) // one look at this machine for all flows that came together
	for _, e := range events {
		switch e := e.(type) {
		case *probe.DNSEvent:
			c.learn(e, batches)
		case *probe.QuestionEvent:
			if !c.isNobodys(e.Cgroup) {
				c.ask(e)
			}
		case *probe.ClientEvent:
			c.containers.ran(e)
		case *probe.BindEvent:
			c.bound.add(e, endpoint.Owner{PID: e.Process.PID, Name: e.Process.Name})
		case *probe.FlowEvent:
			if c.isNobodys(e.Cgroup) {
				continue
			}
			if e.Connection() != 0 {
				c.seeConnection(e, batches)
				continue
			}
			c.see(e, batches)
			if e.Since != 0 {
				c.ambiguous = append(c.ambiguous, e)
			}
		case *probe.NameEvent:
			if !c.isNobodys(e.Cgroup) {
				c.hear(e, batches)
			}
		}
	}
}

// learn remembers what a DNS answer says. What is no answer is not ours to complain about.
func (c *capture) learn(e *probe.DNSEvent, batches map[*membership]*endpoint.Batch) {
	messages := [][]byte{e.Payload}
	if e.Sent {
		c.askedOverTCP(e)
		return
	}
	const response = 0x80
	if e.Cut > 0 && len(e.Payload) > 2 && e.Payload[2]&response != 0 {
		c.fail(fmt.Errorf("read a DNS answer: it has %d bytes, of which at most %d are read", len(e.Payload)+e.Cut, len(e.Payload)))
		return
	}
	if e.Protocol == flow.TCP {
		messages, _ = c.streams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	}
	for _, m := range messages {
		answer, err := dns.Parse(m)
		if err != nil || e.Protocol == flow.TCP && !c.isAnswer(e, m, answer.Question) {
			continue
		}
		c.names.Record(e.Cgroup, answer, e.Time)
		c.answered(e, answer)
		// A connection on another CPU may have been told of before an answer that counted for it.
		for _, flow := range c.ambiguous {
			if flow.Cgroup == e.Cgroup && flow.Since <= e.Time && e.Time <= time.Duration(flow.Name) && answer.Has(flow.Addr) {
				c.see(flow, batches)
			}
		}
	}
}

// see gives a new flow to the recordings to which it belongs, under each name that may be meant.
func (c *capture) see(e *probe.FlowEvent, batches map[*membership]*endpoint.Batch) {
	asked := c.names.Lookup(e.Cgroup, e.Addr, e.Question(), e.Since)
	names := asked
	if len(names) == 0 {
		names = []string{""}
	}
	var forgotten uint64
	if by := c.backgroundOf(e); by != "" {
		own := false
		if own, forgotten = c.seeBackground(e, by, names, batches); !own {
			return
		}
	}
	unserved := false
	to, stray := c.recipients(e)
	for _, m := range to {
		for _, name := range names {
			identity := c.identify(m, e, name, batches)
			unserved = unserved || identity.Relation == endpoint.NoListener
			m.note(e, name, identity, stray)
		}
		m.addCount(e.Key, forgotten)
	}
	if e.Protocol == flow.TCP {
		said := c.speechOf(e.Key)
		said.event, said.asked = e, asked
		for name, call := range said.names {
			c.call(said, name, call.evidence, batches)
		}
	}
	if unserved {
		c.forget(e.Key)
	}
}

// identify says what a flow is to a recording, if this name was meant.
func (c *capture) identify(m *membership, e *probe.FlowEvent, name string, batches map[*membership]*endpoint.Batch) endpoint.Identity {
	if batches[m] == nil {
		batches[m] = m.identifier.Batch()
	}
	contained := e.Cgroup != c.session.Leaf.ID
	b := batches[m]
	identity := b.Identify(endpoint.Query{
		PID: e.Process.PID, Protocol: e.Protocol, Addr: e.Addr, Port: e.Port, Name: name, Bound: c.bound.at(e.Key),
		Container: contained, OwnNetwork: contained && e.Netns != c.session.Self.Netns,
		OtherNetwork: !contained && e.Netns != 0 && e.Netns != c.session.Self.Netns, MaybeOtherNetwork: !contained && e.Netns == 0,
	})
	if err := b.Err(); err != nil && c.failure == nil {
		c.fail(fmt.Errorf("look at this machine: %w", err))
	}
	return identity
}

// sightingOf returns what a flow was found to be.
func (m *membership) sightingOf(e *probe.FlowEvent, name string, identity endpoint.Identity, stray stray) sighting {
	s := sighting{
		event: e,
		name:  name,
		flow: flow.Flow{
			Source: m.source, Destination: identity.Endpoint, Protocol: e.Protocol, Port: identity.Port, ICMPType: e.ICMPType,
			First: max(e.Time-m.started, 0), Process: e.Process, Before: m.openedBefore(e),
		},
		identity: identity,
		stray:    stray,
		server:   m.capture.containersOf(identity.Listener.PID),
	}
	if m.whole {
		s.flow.Process.Test = m.capture.testOf(e)
	}
	return s
}

// note keeps what a flow was found to be. One that was forgotten in the kernel meanwhile is the same flow still.
func (m *membership) note(e *probe.FlowEvent, name string, identity endpoint.Identity, stray stray) {
	s := m.sightingOf(e, name, identity, stray)
	key := sightingKey{e.Key, identity.Endpoint.Name}
	if before, again := m.seen[key]; again {
		s.flow.Count, s.flow.First, s.called, s.meant = before.flow.Count, before.flow.First, before.called, before.meant
	}
	if !slices.Contains(s.meant, name) {
		s.meant = append(slices.Clip(s.meant), name)
	}
	m.seen[key] = s
}

// forget lets the next connection to an address be looked at again, because somebody may listen there by then: tests
// try until the server that they wait for is up.
func (c *capture) forget(k probe.Key) {
	count, err := c.session.Probe.Forget(k)
	if err != nil {
		return // nothing is lost: the flow stays as it was seen
	}
	for _, m := range c.all() {
		for key, s := range m.seen {
			if key.Key == k {
				s.flow.Count += count
				m.seen[key] = s
			}
		}
	}
}

// bound remembers which processes in scope took which local addresses, newest last.
type bound struct {
	owners map[boundKey][]boundOwner
}

type boundKey struct {
	netns    uint64
	protocol flow.Protocol
	port     uint16
}

type boundOwner struct {
	addr   netip.Addr
	cgroup uint64
	endpoint.Owner
}

func (b *bound) add(e *probe.BindEvent, owner endpoint.Owner) {
	if b.owners == nil {
		b.owners = make(map[boundKey][]boundOwner)
	}
	key, entry := boundKey{e.Netns, e.Protocol, e.Port}, boundOwner{e.Addr, e.Cgroup, owner}
	b.owners[key] = append(slices.DeleteFunc(b.owners[key], func(o boundOwner) bool { return o == entry }), entry)
}

// at returns who took an address to which a flow goes, or all addresses.
func (b *bound) at(k probe.Key) []endpoint.Owner {
	var owners []endpoint.Owner
	for _, o := range b.owners[boundKey{k.Netns, k.Protocol, k.Port}] {
		if o.addr.IsUnspecified() || o.addr == k.Addr || k.Addr.IsUnspecified() && o.addr.IsLoopback() {
			owners = append(owners, o.Owner)
		}
	}
	return owners
}

// cgroupOf returns the cgroup in which a process was when it was seen to bind last, or 0.
func (b *bound) cgroupOf(pid int) uint64 {
	for _, owners := range b.owners {
		for _, o := range owners {
			if o.PID == pid {
				return o.cgroup
			}
		}
	}
	return 0
}
