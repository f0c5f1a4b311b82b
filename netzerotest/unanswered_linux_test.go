package netzerotest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// All forms of a name are asked for where none has an address, in an order that depends on its dots.
func TestLookupWithoutAnAddressIsOfTheNameThatWasWritten(t *testing.T) {
	search := endpoint.Search{Domains: []string{"svc.cluster.test", "cluster.test"}, Dots: 2}
	for _, row := range []struct {
		reason string
		asked  string // with "!" behind it: it got an address
		want   string
	}{
		{"every form", "db.svc.cluster.test db.cluster.test db", "db:*"},
		{"every form of a name with dots", "a.b.test a.b.test.svc.cluster.test a.b.test.cluster.test", "a.b.test:*"},
		{"a resolver that gives up early", "db.svc.cluster.test", "db:*"},
		{"the same after the second form", "db.svc.cluster.test db.cluster.test", "db:*"},
		{"the first form has an address", "db.svc.cluster.test!", ""},
		{"the last form has", "db.svc.cluster.test db.cluster.test db!", ""},
		{"one in between has", "db.svc.cluster.test db.cluster.test! db", ""},
		{"a complete name of the domain", "a.b.cluster.test a.b.cluster.test.svc.cluster.test", "a.b.cluster.test:*"},
		{"a complete name with as many dots", "a.b.c.cluster.test", "a.b.c.cluster.test:*"},
		{"two names", "db.svc.cluster.test db.cluster.test db web.svc.cluster.test web.cluster.test web!", "db:*"},
		{"a name that only begins alike has an address", "vendor.test vendor.test.example.test!", "vendor.test:*"},
		{"names that never mean a host", "invalid a.invalid localhost b.localhost localhost.svc.cluster.test 1.2.0.192.in-addr.arpa 1.ip6.arpa", ""},
		{"names that only end alike", "notinvalid.test xinvalid mylocalhost", "mylocalhost:* notinvalid.test:* xinvalid:*"},
	} {
		c := &capture{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}}
		c.containers = newContainers(func() {})
		m := &membership{capture: c, identifier: endpoint.New(endpoint.Config{}), lookups: make(map[lookupKey]*lookup)}
		for i, word := range strings.Fields(row.asked) {
			name, answered := strings.CutSuffix(word, "!")
			m.lookups[lookupKey{1, name}] = &lookup{event: &probe.FlowEvent{Time: time.Duration(i)}, search: search, answered: answered}
			m.lookups[lookupKey{2, name}] = &lookup{answered: true} // in another cgroup, which makes no difference
		}
		var got []string
		for _, l := range (&settling{membership: m}).unanswered() {
			got = append(got, l.flow.Target())
		}
		slices.Sort(got)
		if diff := cmp.Diff(row.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestLookupForWhichThereIsNoRoomIsALoss(t *testing.T) {
	m := &membership{capture: &capture{}, lookups: make(map[lookupKey]*lookup)}
	const over = 3
	for i := range maxLookups + over {
		m.lookupOf(lookupKey{uint64(i), "a.test"})
	}
	m.lookupOf(lookupKey{0, "a.test"})
	if len(m.lookups) != maxLookups || m.capture.unkept != over {
		t.Errorf("%d are kept and %d are not", len(m.lookups), m.capture.unkept)
	}
}

func TestFormsOfOneName(t *testing.T) {
	for _, row := range []struct {
		reason string
		a, b   string
		want   bool
	}{
		{"completed by a domain and by one around it", "db.shop.shop.svc.cluster.local", "db.shop.svc.cluster.local", true},
		{"the other way round", "db.shop.svc.cluster.local", "db.shop.shop.svc.cluster.local", true},
		{"hosts of two domains", "api.gone.test", "api.pay.test", false},
		{"hosts of one domain", "a.pay.test", "b.pay.test", false},
		{"names that begin alike", "api.pay.test", "api2.pay.test", false},
	} {
		if got := areForms(row.a, row.b); got != row.want {
			t.Errorf("%s: %s and %s: %t", row.reason, row.a, row.b, got)
		}
	}
}
