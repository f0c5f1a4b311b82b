package recorder

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// called is what a client sent that calls its server so.
func called(hash uint64, source probe.NameSource, text string) *probe.NameEvent {
	return &probe.NameEvent{ServerNameKey: probe.ServerNameKey{Key: calledKey, Hash: hash}, Source: source, Text: []byte(text)}
}

var calledKey = probe.Key{Cgroup: 1, Addr: netip.MustParseAddr("203.0.113.9"), Port: 8443, Protocol: flow.TCP}

// Which came first, on which processor, must not show; nor must a connection without a name hide behind one with.
func TestFlowIsWhatItsClientsCallTheServer(t *testing.T) {
	seen := &probe.FlowEvent{Key: calledKey}
	var (
		a       = called(1, probe.NamesByHTTP, "a.test:80")
		again   = called(2, probe.NamesByTLS, "\x00\x09\x00\x00\x06A.TEST")
		b       = called(3, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test")
		nothing = called(0, probe.NamesNothing, "")
		address = called(4, probe.NamesByHTTP, "203.0.113.9:8443")
	)
	later := *seen
	later.Generation++
	laterNothing := *nothing
	laterNothing.Generation++
	counts := map[probe.Key]uint64{calledKey: 100, later.Key: 7}
	calls := map[probe.ServerNameKey]uint64{a.ServerNameKey: 1, again.ServerNameKey: 2, b.ServerNameKey: 4}
	for _, row := range []struct {
		reason string
		events [][]probe.Event // orders in which they may come
		want   map[string]uint64
	}{
		{"nothing was said: the address", [][]probe.Event{{seen}}, map[string]uint64{"203.0.113.9 none": 100}},
		{"one name", [][]probe.Event{{seen, a}, {a, seen}}, map[string]uint64{"a.test HTTP Host header": 1}},
		{"one name, said in two ways", [][]probe.Event{{seen, a, again}, {again, a, seen}, {a, seen, again}},
			map[string]uint64{"a.test TLS server name": 3}},
		{"two names", [][]probe.Event{{seen, again, b}, {b, seen, again}},
			map[string]uint64{"a.test TLS server name": 2, "b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{"a name, and somebody who said something else", [][]probe.Event{{seen, b, nothing}, {nothing, seen, b}, {b, nothing, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 96}},
		{"an attempt that the kernel kept apart", [][]probe.Event{{seen, b, &later}, {&later, b, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{"the same, and something was said", [][]probe.Event{{seen, b, &later, &laterNothing}, {&laterNothing, &later, b, seen}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 7}},
		{"an address is no name", [][]probe.Event{{seen, address}, {address, seen}}, map[string]uint64{"203.0.113.9 none": 100}},
	} {
		for _, order := range row.events {
			if diff := cmp.Diff(row.want, destinations(t, order, "", counts, calls)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.reason, diff)
			}
		}
	}
}

// A question counts for the connection that follows it. What others say to the same address and port, without a question of
// their own, must not hide behind it, however long the flow has been known.
func TestNameThatDNSWasNotAskedForIsAnotherFlow(t *testing.T) {
	asked := &probe.FlowEvent{Key: calledKey}
	asked.Name = dns.Hash("asked.test")
	unread := &probe.FlowEvent{Key: calledKey}
	say := func(e *probe.FlowEvent, hash uint64, name string) *probe.NameEvent {
		n := called(hash, probe.NamesByHTTP, name)
		n.Key = e.Key
		return n
	}
	for _, row := range []struct {
		reason string
		events []probe.Event
		want   map[string]uint64
	}{
		{reason: "the name that was asked for, from a cache", events: []probe.Event{asked, say(asked, 1, "Asked.test")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "without the domain that the resolver searched", events: []probe.Event{asked, say(asked, 1, "asked")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "no name, which is no other", events: []probe.Event{asked, called(0, probe.NamesNothing, "")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "another name", events: []probe.Event{asked, say(asked, 4, "other.test")},
			want: map[string]uint64{"asked.test DNS": 6, "other.test HTTP Host header": 4}},
		{reason: "another name before the flow is told of", events: []probe.Event{say(asked, 4, "other.test"), asked},
			want: map[string]uint64{"asked.test DNS": 6, "other.test HTTP Host header": 4}},
		{reason: "another name only: the question was for an earlier recording", events: []probe.Event{asked, say(asked, 10, "other.test")},
			want: map[string]uint64{"other.test HTTP Host header": 10}},
		{reason: "another name after an answer that the kernel could not read", events: []probe.Event{unread, say(unread, 1, "virtual.test")},
			want: map[string]uint64{"asked.test DNS": 9, "virtual.test HTTP Host header": 1}},
		{reason: "the same on every connection: for which the question was is not known", events: []probe.Event{unread, say(unread, 10, "virtual.test")},
			want: map[string]uint64{"asked.test DNS": 0, "virtual.test HTTP Host header": 10}},
	} {
		flows, calls := map[probe.Key]uint64{asked.Key: 10, unread.Key: 10}, make(map[probe.ServerNameKey]uint64)
		for _, e := range row.events {
			if n, ok := e.(*probe.NameEvent); ok {
				calls[n.ServerNameKey] = n.Hash // as often as its hash says
			}
		}
		if diff := cmp.Diff(row.want, destinations(t, row.events, "asked.test", flows, calls)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// destinations returns where a recording has flows to and how many, after these events, and after DNS was asked for names, one
// nanosecond after the other.
func destinations(t *testing.T, events []probe.Event, asked string, flows map[probe.Key]uint64, calls map[probe.ServerNameKey]uint64) map[string]uint64 {
	t.Helper()
	c := &Recorder{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}, hints: make(map[probe.Key]*flowHints)}
	m := &Recording{recorder: c, identifier: endpoint.New(endpoint.Config{}), observations: make(map[observationKey]observation)}
	c.containers, c.members = newContainers(func() {}), []*Recording{m}
	for i, asked := range strings.Fields(asked) {
		c.names.Record(calledKey.Cgroup, dns.Answer{Question: asked, Name: asked, Addrs: []netip.Addr{calledKey.Addr}}, time.Duration(i+1))
	}
	c.handle(events)
	got := make(map[string]uint64)
	for _, s := range m.observations {
		if count, own := m.countOf(s, m.namedFlows(), flows, calls); own {
			d := s.flow.Destination
			text := d.String() + " " + d.Evidence.String()
			if s.event.Port != calledKey.Port {
				text += fmt.Sprint(" at port ", s.event.Port)
			}
			got[text] = count
		}
	}
	return got
}
