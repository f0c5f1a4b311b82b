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

// sent returns the event for a name that a client sent.
func sent(hash uint64, source probe.NameSource, text string) *probe.NameEvent {
	return &probe.NameEvent{
		ServerNameKey: probe.ServerNameKey{Key: hintKey, Hash: hash},
		Source:        source, Text: []byte(text),
	}
}

var hintKey = probe.Key{Cgroup: 1, Addr: netip.MustParseAddr("203.0.113.9"), Port: 8443, Protocol: flow.TCP}

// Events of several CPUs may arrive in any order, without a difference in the result. A connection with a name does not
// hide one without.
func TestHints_WithoutQuery(t *testing.T) {
	opened := &probe.FlowEvent{Key: hintKey}
	var (
		a       = sent(1, probe.NamesByHTTP, "a.test:80")
		again   = sent(2, probe.NamesByTLS, "\x00\x09\x00\x00\x06A.TEST")
		b       = sent(3, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test")
		nothing = sent(0, probe.NamesNothing, "")
		address = sent(4, probe.NamesByHTTP, "203.0.113.9:8443")
	)
	later := *opened
	later.Generation++
	laterNothing := *nothing
	laterNothing.Generation++
	counts := map[probe.Key]uint64{hintKey: 100, later.Key: 7}
	payloads := map[probe.ServerNameKey]uint64{a.ServerNameKey: 1, again.ServerNameKey: 2, b.ServerNameKey: 4}
	for _, row := range []struct {
		reason string
		events [][]probe.Event // in every possible order
		want   map[string]uint64
	}{
		{"no hint: the address", [][]probe.Event{{opened}}, map[string]uint64{"203.0.113.9 none": 100}},
		{"one name", [][]probe.Event{{opened, a}, {a, opened}}, map[string]uint64{"a.test HTTP Host header": 1}},
		{"one name, from TLS and HTTP", [][]probe.Event{{opened, a, again}, {again, a, opened}, {a, opened, again}},
			map[string]uint64{"a.test TLS server name": 3}},
		{"two names", [][]probe.Event{{opened, again, b}, {b, opened, again}},
			map[string]uint64{"a.test TLS server name": 2, "b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{
			"a name, and a payload without one",
			[][]probe.Event{{opened, b, nothing}, {nothing, opened, b}, {b, nothing, opened}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 96},
		},
		{"an attempt that the kernel reported separately", [][]probe.Event{{opened, b, &later}, {&later, b, opened}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4}},
		{"the same, with a payload", [][]probe.Event{{opened, b, &later, &laterNothing}, {&laterNothing, &later, b, opened}},
			map[string]uint64{"b.test TLS server name, which may be only the outer one (ECH)": 4, "203.0.113.9 none": 7}},
		{
			"an address is no name",
			[][]probe.Event{{opened, address}, {address, opened}},
			map[string]uint64{"203.0.113.9 none": 100},
		},
	} {
		for _, order := range row.events {
			if diff := cmp.Diff(row.want, destinations(t, order, "", counts, payloads)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.reason, diff)
			}
		}
	}
}

// A query counts for the connection that follows it. Other clients of the same address and port without a query of
// their own are flows of their own, no matter how long the flow is known.
func TestHints_OtherNameThanQueried(t *testing.T) {
	queried := &probe.FlowEvent{Key: hintKey}
	queried.Name = dns.Hash("asked.test")
	unread := &probe.FlowEvent{Key: hintKey}
	send := func(e *probe.FlowEvent, hash uint64, name string) *probe.NameEvent {
		n := sent(hash, probe.NamesByHTTP, name)
		n.Key = e.Key
		return n
	}
	for _, row := range []struct {
		reason string
		events []probe.Event
		want   map[string]uint64
	}{
		{reason: "the queried name, from a cache", events: []probe.Event{queried, send(queried, 1, "Asked.test")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "the queried name without its search domain", events: []probe.Event{queried, send(queried, 1, "asked")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "no name, which is not another name", events: []probe.Event{queried, sent(0, probe.NamesNothing, "")},
			want: map[string]uint64{"asked.test DNS": 10}},
		{reason: "another name", events: []probe.Event{queried, send(queried, 4, "other.test")},
			want: map[string]uint64{"asked.test DNS": 6, "other.test HTTP Host header": 4}},
		{reason: "another name before the flow event", events: []probe.Event{send(queried, 4, "other.test"), queried},
			want: map[string]uint64{"asked.test DNS": 6, "other.test HTTP Host header": 4}},
		{
			reason: "another name only: the query was for an earlier recording",
			events: []probe.Event{queried, send(queried, 10, "other.test")},
			want:   map[string]uint64{"other.test HTTP Host header": 10},
		},
		{
			reason: "another name after an answer that the kernel could not read",
			events: []probe.Event{unread, send(unread, 1, "virtual.test")},
			want:   map[string]uint64{"asked.test DNS": 9, "virtual.test HTTP Host header": 1},
		},
		{
			reason: "the same on every connection: the connection of the query is unknown",
			events: []probe.Event{unread, send(unread, 10, "virtual.test")},
			want:   map[string]uint64{"asked.test DNS": 0, "virtual.test HTTP Host header": 10},
		},
	} {
		flows, payloads := map[probe.Key]uint64{queried.Key: 10, unread.Key: 10}, make(map[probe.ServerNameKey]uint64)
		for _, e := range row.events {
			if n, ok := e.(*probe.NameEvent); ok {
				payloads[n.ServerNameKey] = n.Hash // as often as its hash says
			}
		}
		if diff := cmp.Diff(row.want, destinations(t, row.events, "asked.test", flows, payloads)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// destinations returns the destinations of a recording with their counts, after DNS answers for the queried names, one
// nanosecond apart, and after the events.
func destinations(
	t *testing.T, events []probe.Event, queried string, flows map[probe.Key]uint64,
	payloads map[probe.ServerNameKey]uint64,
) map[string]uint64 {
	t.Helper()
	r := &Recorder{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}}
	rec := &Recording{
		recorder: r, identifier: endpoint.New(endpoint.Config{}), observations: make(observations),
	}
	r.containers = newContainerState(func() {}, func() {})
	r.attribution = attribution{ownCgroup: 1, recordings: []*Recording{rec}}
	for i, name := range strings.Fields(queried) {
		r.correlation.names.Record(
			hintKey.Cgroup, dns.Answer{Question: name, Name: name, Addrs: []netip.Addr{hintKey.Addr}}, time.Duration(i+1),
		)
	}
	r.handle(events)
	got := make(map[string]uint64)
	for o := range rec.observations.each {
		if count, belongs := rec.countOf(*o, rec.namedFlows(), flows, payloads); belongs {
			d := o.flow.Destination
			text := d.String() + " " + d.Evidence.String()
			if o.event.Port != hintKey.Port {
				text += fmt.Sprint(" at port ", o.event.Port)
			}
			got[text] = count
		}
	}
	return got
}
