package recorder

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// Names with one address that are asked for at one moment may all be meant, until every connection has said which it does.
func TestOfSeveralNamesThoseCountThatEveryConnectionSays(t *testing.T) {
	const asked = "old.test a.test b.test db.corp.test"
	several := &probe.FlowEvent{Key: calledKey}
	several.Since, several.Name = 2, 4 // all but the first
	alone := &probe.FlowEvent{Key: calledKey}
	alone.Name = dns.Hash("b.test")
	elsewhere := &probe.FlowEvent{Key: alone.Key}
	elsewhere.Port++
	all := func(n uint64) map[string]uint64 {
		return map[string]uint64{"a.test DNS": n, "b.test DNS": n, "db.corp.test DNS": n}
	}
	// Of n connections one each says a name; the hash is how many do.
	say := func(e *probe.FlowEvent, n uint64, source probe.NameSource, text string) *probe.NameEvent {
		return &probe.NameEvent{ServerNameKey: probe.ServerNameKey{Key: e.Key, Hash: n, Asked: true}, Source: source, Text: []byte(text)}
	}
	http := func(e *probe.FlowEvent, n uint64, text string) *probe.NameEvent {
		return say(e, n, probe.NamesByHTTP, text)
	}
	unasked := func(n *probe.NameEvent) *probe.NameEvent { n.Asked = false; return n }
	for _, row := range []struct {
		reason string
		count  uint64 // connections of the flow
		events []probe.Event
		want   map[string]uint64
	}{
		{"nothing was heard", 9, []probe.Event{several}, all(9)},
		{"all say one of them", 9, []probe.Event{several, http(several, 9, "A.test.:80")}, map[string]uint64{"a.test DNS": 9}},
		{"heard before the flow is told of", 9, []probe.Event{http(several, 9, "a.test"), several}, map[string]uint64{"a.test DNS": 9}},
		{"all say two of them", 9, []probe.Event{several, http(several, 4, "a.test"), http(several, 5, "b.test")},
			map[string]uint64{"a.test DNS": 4, "b.test DNS": 5}},
		{"one has said nothing yet", 10, []probe.Event{several, http(several, 4, "a.test"), http(several, 5, "b.test")}, all(10)},
		{"one said something that is no name", 10, []probe.Event{several, http(several, 9, "a.test"), http(several, 1, "192.0.2.1")}, all(10)},
		{"one said something that names nothing", 10, []probe.Event{several, http(several, 9, "a.test"), say(several, 1, probe.NamesNothing, "")}, all(10)},
		{"one said a name that nobody asked for", 10, []probe.Event{several, http(several, 9, "a.test"), http(several, 1, "virtual.test")},
			map[string]uint64{"a.test DNS": 9, "b.test DNS": 9, "db.corp.test DNS": 9, "virtual.test HTTP Host header": 1}},
		{"all did", 10, []probe.Event{several, http(several, 10, "virtual.test")},
			map[string]uint64{"a.test DNS": 0, "b.test DNS": 0, "db.corp.test DNS": 0, "virtual.test HTTP Host header": 10}},
		{"one may have meant another name than it said", 10, []probe.Event{several, http(several, 9, "a.test"), say(several, 1, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test")}, all(10)},
		{"the same without a question of its own", 10, []probe.Event{several, http(several, 9, "a.test"), unasked(say(several, 1, probe.NamesByTLSOuter, "\x00\x09\x00\x00\x06b.test"))}, all(10)},
		{"without the domain that the resolver searched", 9, []probe.Event{several, http(several, 9, "db")},
			map[string]uint64{"db.corp.test DNS": 9}},
		{"more connections than questions", 9, []probe.Event{several, http(several, 4, "a.test"), unasked(http(several, 5, "a.test"))},
			map[string]uint64{"a.test DNS": 9}},
		{"one of these said a name that nobody asked for", 9, []probe.Event{several, http(several, 4, "a.test"), unasked(http(several, 5, "other.test"))},
			map[string]uint64{"a.test DNS": 4, "other.test HTTP Host header": 5}},

		// Look-ups are shared, so that a question may be taken by a connection that came of another one, asked for before.
		{"a name from before", 9, []probe.Event{several, http(several, 4, "a.test"), http(several, 5, "old.test")},
			map[string]uint64{"a.test DNS": 4, "b.test DNS": 4, "db.corp.test DNS": 4, "old.test DNS": 5}},
		{"a name from before only, and what was asked for is not heard elsewhere", 5, []probe.Event{alone, http(alone, 5, "old.test")},
			map[string]uint64{"b.test DNS": 0, "old.test DNS": 5}},
		{"the same, and it is heard elsewhere", 5, []probe.Event{alone, http(alone, 5, "old.test"), elsewhere, http(elsewhere, 5, "b.test")},
			map[string]uint64{"b.test DNS at port 8444": 5, "old.test DNS": 5}},
		{"a name from before, on some", 9, []probe.Event{alone, http(alone, 5, "old.test")},
			map[string]uint64{"b.test DNS": 4, "old.test DNS": 5}},
		{"the name that was asked for, on all", 9, []probe.Event{alone, http(alone, 9, "B.test")}, map[string]uint64{"b.test DNS": 9}},
		{"the same, and some that said nothing", 9, []probe.Event{alone, http(alone, 4, "b.test")}, map[string]uint64{"b.test DNS": 9}},
		{"a name that nobody asked for, after one question", 9, []probe.Event{alone, http(alone, 9, "virtual.test")},
			map[string]uint64{"b.test DNS": 0, "virtual.test HTTP Host header": 9}},
		{"the same, and the one that was asked for", 9, []probe.Event{alone, http(alone, 4, "b.test"), http(alone, 5, "virtual.test")},
			map[string]uint64{"b.test DNS": 4, "virtual.test HTTP Host header": 5}},
		{"an address after one question", 9, []probe.Event{alone, http(alone, 9, "192.0.2.1")}, map[string]uint64{"b.test DNS": 9}},
		{"what is no name after one question", 9, []probe.Event{alone, http(alone, 9, "b test")}, map[string]uint64{"b.test DNS": 9}},
		{"nothing after one question", 9, []probe.Event{alone, say(alone, 9, probe.NamesNothing, "")}, map[string]uint64{"b.test DNS": 9}},
		{"an outer name after one question", 9, []probe.Event{alone, say(alone, 9, probe.NamesByTLSOuter, "\x00\x0d\x00\x00\x0afront.test")},
			map[string]uint64{"b.test DNS": 9}},
		{"another name at another port", 9, []probe.Event{alone, http(alone, 9, "b.test"), elsewhere, unasked(http(elsewhere, 9, "virtual.test"))},
			map[string]uint64{"b.test DNS": 9, "virtual.test HTTP Host header at port 8444": 9}},
	} {
		flows, calls := map[probe.Key]uint64{several.Key: row.count, alone.Key: row.count, elsewhere.Key: row.count}, make(map[probe.ServerNameKey]uint64)
		for _, e := range row.events {
			if n, ok := e.(*probe.NameEvent); ok {
				calls[n.ServerNameKey] = n.Hash
			}
		}
		if diff := cmp.Diff(row.want, destinations(t, row.events, asked, flows, calls)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
