package clientname

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// sent is a name that some connections of a flow sent.
type sent struct {
	name        string
	evidence    flow.Evidence
	payload     Payload
	connections uint64
}

// hintsOf returns hints and their counter. A payload without a hash gets one of its own.
func hintsOf(candidates []string, names []sent) (*Hints, Counter) {
	h := &Hints{Candidates: candidates}
	counts := make(map[Payload]uint64)
	for i, s := range names {
		if s.payload.Hash == 0 {
			s.payload.Hash = uint64(i + 1)
		}
		counts[s.payload] = s.connections
		h.Add(s.name, s.evidence, s.payload)
	}
	return h, func(p Payload) uint64 { return counts[p] }
}

// The rows observe a flow of ten connections.
func TestCountForName(t *testing.T) {
	const connections = 10
	var (
		several = []string{"a.test", "b.test", "db.corp.test"}
		one     = []string{"b.test"}
	)
	http := func(n uint64, name string) sent { // after a query
		return sent{name, flow.ByHTTP, Payload{Queried: true}, n}
	}
	withoutQuery := func(n uint64, name string) sent { return sent{name, flow.ByHTTP, Payload{}, n} }
	outer := func(n uint64, name string) sent {
		return sent{name, flow.ByTLSOuter, Payload{Queried: true, Outer: true}, n}
	}
	shared := func(n uint64, name string) sent { return sent{name, flow.ByDNS, Payload{Hash: 99, Queried: true}, n} }
	queried := func(name string) Observed {
		return Observed{Names: []string{name}, Evidence: flow.ByDNS, Connections: connections}
	}
	ambiguous := func(name string) Observed {
		o := queried(name)
		o.Ambiguous = true
		return o
	}
	with := func(o Observed, change func(*Observed)) Observed { change(&o); return o }
	for _, row := range []struct {
		reason     string
		candidates []string
		sent       []sent
		nameless   bool
		elsewhere  bool // another client of the address sent the name
		observed   Observed
		want       uint64
		not        bool // no connection belongs to the name
	}{
		// Several names resolve to the address.
		{reason: "no hint: every candidate", candidates: several, observed: ambiguous("a.test"), want: 10},
		{reason: "every connection sent this candidate", candidates: several, sent: []sent{http(10, "a.test")},
			observed: ambiguous("a.test"), want: 10},
		{reason: "every connection sent another candidate", candidates: several, sent: []sent{http(10, "a.test")},
			observed: ambiguous("b.test"), not: true},
		{reason: "four connections sent this candidate, the others another", candidates: several,
			sent: []sent{http(4, "a.test"), http(6, "b.test")}, observed: ambiguous("a.test"), want: 4},
		{reason: "one connection sent nothing yet: every candidate", candidates: several,
			sent: []sent{http(4, "a.test"), http(5, "b.test")}, observed: ambiguous("db.corp.test"), want: 10},
		{reason: "the candidate without its search domain", candidates: several, sent: []sent{http(10, "db")},
			observed: ambiguous("db.corp.test"), want: 10},
		{reason: "some connections sent it without a query", candidates: several,
			sent: []sent{http(4, "a.test"), withoutQuery(6, "a.test")}, observed: ambiguous("a.test"), want: 10},
		{reason: "the connections without a query sent another name", candidates: several,
			sent: []sent{http(4, "a.test"), withoutQuery(6, "other.test")}, observed: ambiguous("b.test"), not: true},
		{reason: "an outer TLS name hides the host: every candidate", candidates: several,
			sent: []sent{http(9, "a.test"), outer(1, "b.test")}, observed: ambiguous("db.corp.test"), want: 10},
		{reason: "a short name stands for each of its candidates", candidates: []string{"db.a.test", "db.b.test"},
			sent: []sent{http(10, "db")}, observed: ambiguous("db.a.test"), want: 10},
		{reason: "one payload for two candidates counts once: some connections sent nothing",
			candidates: []string{"db.a.test", "db.b.test"},
			sent:       []sent{shared(5, "db.a.test"), shared(5, "db.b.test")}, observed: ambiguous("db.a.test"), want: 10},
		{reason: "connections that the kernel has dropped sent nothing: every candidate", candidates: several,
			sent:     []sent{http(10, "a.test")},
			observed: with(ambiguous("b.test"), func(o *Observed) { o.Earlier = 1 }), want: 10},

		// One name was queried.
		{reason: "every connection sent the queried name", candidates: one, sent: []sent{http(10, "b.test")},
			observed: queried("b.test"), want: 10},
		{reason: "some connections sent nothing", candidates: one, sent: []sent{http(4, "b.test")},
			observed: queried("b.test"), want: 10},
		{reason: "some connections sent a name without a query", candidates: one,
			sent: []sent{http(4, "b.test"), http(6, "virtual.test")}, observed: queried("b.test"), want: 4},
		{reason: "all consumed a query and sent another name: the query may belong to another connection", candidates: one,
			sent: []sent{http(10, "virtual.test")}, observed: queried("b.test"), want: 0},
		{reason: "the same, and another client sent the queried name", candidates: one,
			sent: []sent{http(10, "virtual.test")}, elsewhere: true, observed: queried("b.test"), not: true},
		{reason: "all sent another name without a query: the query was for an earlier recording", candidates: one,
			sent: []sent{withoutQuery(10, "virtual.test")}, observed: queried("b.test"), not: true},
		{reason: "the same, but the kernel does not know the query", candidates: one,
			sent:     []sent{withoutQuery(10, "virtual.test")},
			observed: with(queried("b.test"), func(o *Observed) { o.NoQuestion = true }), want: 0},

		// Other evidence than DNS.
		{reason: "a Peer that may hold for one candidate only: some connections sent it", candidates: several,
			sent:     []sent{http(4, "a.test"), http(6, "b.test")},
			observed: with(ambiguous("a.test"), func(o *Observed) { o.Evidence = flow.ByOption }), want: 10},
		{reason: "the same: every connection sent another candidate", candidates: several, sent: []sent{http(10, "b.test")},
			observed: with(ambiguous("a.test"), func(o *Observed) { o.Evidence = flow.ByOption }), not: true},
		{reason: "the same: every connection sent a name that is not a candidate", candidates: several,
			sent:     []sent{http(10, "virtual.test")},
			observed: with(ambiguous("a.test"), func(o *Observed) { o.Evidence = flow.ByOption }), want: 10},
		{reason: "only an address, and every connection sent a name", sent: []sent{withoutQuery(10, "virtual.test")},
			observed: Observed{OnlyAddr: true, Connections: connections}, not: true},
		{reason: "only an address, and some connections sent no name", sent: []sent{withoutQuery(4, "virtual.test")},
			nameless: true, observed: Observed{OnlyAddr: true, Connections: connections}, want: 6},
	} {
		hints, count := hintsOf(row.candidates, row.sent)
		hints.Nameless = row.nameless
		row.observed.NamedElsewhere = func() bool { return row.elsewhere }
		got, belongs := hints.CountForName(row.observed, count)
		if belongs == row.not || got != row.want && belongs {
			t.Errorf("%s: %d, belongs=%t, want %d, belongs=%t", row.reason, got, belongs, row.want, !row.not)
		}
	}
}

func TestMatch(t *testing.T) {
	known := []string{"db", "db.a.test", "db.b.test", "dbx.test", "web.test"}
	for _, row := range []struct {
		reason  string
		name    string
		payload Payload
		want    []string
	}{
		{reason: "a known name wins over its longer forms", name: "db", want: []string{"db"}},
		{reason: "a full name", name: "web.test", want: []string{"web.test"}},
		{reason: "a name without its search domain", name: "web", want: []string{"web.test"}},
		{reason: "whole labels only", name: "we"},
		{reason: "the search domain alone", name: "test"},
		{reason: "an unknown name", name: "other.test"},
		{reason: "an outer TLS name, even if it is known", name: "web.test", payload: Payload{Outer: true}},
	} {
		if diff := cmp.Diff(
			append([]string{}, row.want...), append([]string{}, Match(known, row.name, row.payload)...),
		); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
	if diff := cmp.Diff([]string{"db", "db.a.test", "db.b.test", "dbx.test", "web.test"}, known); diff != "" {
		t.Errorf("Match changed the known names (-want +got):\n%s", diff)
	}
	several := Match([]string{"db.a.test", "db.b.test"}, "db", Payload{})
	if diff := cmp.Diff([]string{"db.a.test", "db.b.test"}, several); diff != "" {
		t.Errorf("a short name matches each of its full names (-want +got):\n%s", diff)
	}
}

func TestIsFormOf(t *testing.T) {
	for _, row := range []struct {
		reason, queried, name string
		want                  bool
	}{
		{"the same name", "db.test", "db.test", true},
		{"the queried name has a search domain", "db.shop.svc", "db", true},
		{"the client sent the longer name", "db", "db.shop.svc", false},
		{"whole labels only", "dbx.test", "db", false},
		{"another host of the domain", "web.test", "db.test", false},
	} {
		if got := IsFormOf(row.queried, row.name); got != row.want {
			t.Errorf("%s: %q of %q is %t", row.reason, row.name, row.queried, got)
		}
	}
}

// Events of several CPUs may arrive in any order, without a difference in the result.
func TestAdd_BestEvidence(t *testing.T) {
	for _, row := range []struct {
		reason string
		order  []flow.Evidence
		want   flow.Evidence
	}{
		{"TLS before HTTP", []flow.Evidence{flow.ByTLS, flow.ByHTTP}, flow.ByTLS},
		{"HTTP before TLS", []flow.Evidence{flow.ByHTTP, flow.ByTLS}, flow.ByTLS},
		{"an outer TLS name is better than HTTP", []flow.Evidence{flow.ByHTTP, flow.ByTLSOuter}, flow.ByTLSOuter},
		{"DNS is best", []flow.Evidence{flow.ByTLS, flow.ByDNS, flow.ByHTTP}, flow.ByDNS},
	} {
		var h Hints
		var got flow.Evidence
		for i, evidence := range row.order {
			got = h.Add("a.test", evidence, Payload{Hash: uint64(i)})
		}
		if got != row.want {
			t.Errorf("%s: %v, want %v", row.reason, got, row.want)
		}
		if n := len(h.Names["a.test"].Payloads); n != len(row.order) {
			t.Errorf("%s: %d payloads, want %d", row.reason, n, len(row.order))
		}
	}
}
