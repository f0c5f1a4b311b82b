package recorder

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// Several names resolve to one address at once. All of them are candidates until every connection has sent a name.
func TestHints_SeveralCandidates(t *testing.T) {
	const queried = "old.test a.test b.test db.corp.test"
	several := &probe.FlowEvent{Key: hintKey}
	several.Since, several.Name = 2, 4 // all but the first
	alone := &probe.FlowEvent{Key: hintKey}
	alone.Name = dns.Hash("b.test")
	elsewhere := &probe.FlowEvent{Key: alone.Key}
	elsewhere.Port++
	all := func(n uint64) map[string]uint64 {
		return map[string]uint64{"a.test DNS": n, "b.test DNS": n, "db.corp.test DNS": n}
	}
	// n connections send a name. Its hash is n.
	send := func(e *probe.FlowEvent, n uint64, source probe.NameSource, text string) *probe.NameEvent {
		return &probe.NameEvent{
			ServerNameKey: probe.ServerNameKey{Key: e.Key, Hash: n, DNSMatch: true},
			Source:        source, Text: []byte(text),
		}
	}
	http := func(e *probe.FlowEvent, n uint64, text string) *probe.NameEvent {
		return send(e, n, probe.NamesByHTTP, text)
	}
	withoutQuery := func(n *probe.NameEvent) *probe.NameEvent { n.DNSMatch = false; return n }
	for _, row := range []struct {
		reason string
		count  uint64 // connections of the flow
		events []probe.Event
		want   map[string]uint64
	}{
		{"no hint", 9, []probe.Event{several}, all(9)},
		{
			"all send one candidate", 9,
			[]probe.Event{several, http(several, 9, "A.test.:80")},
			map[string]uint64{"a.test DNS": 9},
		},
		{
			"the hint before the flow event", 9,
			[]probe.Event{http(several, 9, "a.test"), several},
			map[string]uint64{"a.test DNS": 9},
		},
		{
			"one sent an address", 10,
			[]probe.Event{several, http(several, 9, "a.test"), http(several, 1, "192.0.2.1")},
			all(10),
		},
		{
			"one sent a payload without a name", 10,
			[]probe.Event{several, http(several, 9, "a.test"), send(several, 1, probe.NamesNothing, "")},
			all(10),
		},
		{
			"one sent a name without a query", 10,
			[]probe.Event{several, http(several, 9, "a.test"), http(several, 1, "virtual.test")},
			map[string]uint64{"a.test DNS": 9, "b.test DNS": 9, "db.corp.test DNS": 9, "virtual.test HTTP Host header": 1},
		},
		{
			"one sent an outer TLS name without a query", 10,
			[]probe.Event{
				several, http(several, 9, "a.test"),
				withoutQuery(send(several, 1, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test")),
			},
			all(10),
		},
		{
			"the connections without a query sent another name",
			9,
			[]probe.Event{several, http(several, 4, "a.test"), withoutQuery(http(several, 5, "other.test"))},
			map[string]uint64{"a.test DNS": 4, "other.test HTTP Host header": 5},
		},

		// A connection may consume the query of another one, because clients share lookups.
		{"an earlier name", 9, []probe.Event{several, http(several, 4, "a.test"), http(several, 5, "old.test")},
			map[string]uint64{"a.test DNS": 4, "b.test DNS": 4, "db.corp.test DNS": 4, "old.test DNS": 5}},
		{
			"an earlier name only, and no other client sent the queried name",
			5,
			[]probe.Event{alone, http(alone, 5, "old.test")},
			map[string]uint64{"b.test DNS": 0, "old.test DNS": 5},
		},
		{
			"the same, and another client sent the queried name",
			5,
			[]probe.Event{alone, http(alone, 5, "old.test"), elsewhere, http(elsewhere, 5, "b.test")},
			map[string]uint64{"b.test DNS at port 8444": 5, "old.test DNS": 5},
		},
		{
			"the queried name, on all connections", 9,
			[]probe.Event{alone, http(alone, 9, "B.test")},
			map[string]uint64{"b.test DNS": 9},
		},
		{
			"an address after one query", 9,
			[]probe.Event{alone, http(alone, 9, "192.0.2.1")},
			map[string]uint64{"b.test DNS": 9},
		},
		{
			"an invalid name after one query", 9,
			[]probe.Event{alone, http(alone, 9, "b test")},
			map[string]uint64{"b.test DNS": 9},
		},
		{
			"no name after one query", 9,
			[]probe.Event{alone, send(alone, 9, probe.NamesNothing, "")},
			map[string]uint64{"b.test DNS": 9},
		},
		{
			"an outer TLS name after one query", 9,
			[]probe.Event{alone, send(alone, 9, probe.NamesByTLSOuter, "\x00\x0d\x00\x00\x0afront.test")},
			map[string]uint64{"b.test DNS": 9},
		},
		{
			"another name at another port", 9,
			[]probe.Event{alone, http(alone, 9, "b.test"), elsewhere, withoutQuery(http(elsewhere, 9, "virtual.test"))},
			map[string]uint64{"b.test DNS": 9, "virtual.test HTTP Host header at port 8444": 9},
		},
	} {
		flows := map[probe.Key]uint64{several.Key: row.count, alone.Key: row.count, elsewhere.Key: row.count}
		payloads := make(map[probe.ServerNameKey]uint64)
		for _, e := range row.events {
			if n, ok := e.(*probe.NameEvent); ok {
				payloads[n.ServerNameKey] = n.Hash
			}
		}
		if diff := cmp.Diff(row.want, destinations(t, row.events, queried, flows, payloads)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
