package dns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNames_Lookup(t *testing.T) {
	const cgroup, other = 7, 8
	for _, tt := range []struct {
		name   string
		learn  []Answer // by cgroup
		cgroup uint64
		addr   string
		hash   uint64
		since  time.Duration
		want   string
		known  bool
		reason string
	}{
		{name: "one answer", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "a.test", known: true, reason: "the plain case"},
		{name: "two names on one address", learn: []Answer{answer("a.test", "203.0.113.1"),
			answer("b.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "b.test", known: true, reason: "the last one counts"},
		{name: "the first name again", learn: []Answer{answer("a.test", "203.0.113.1"), answer("b.test", "203.0.113.1"),
			answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "a.test", known: true, reason: "asking again makes it the last"},
		{name: "the kernel's word", learn: []Answer{answer("a.test", "203.0.113.1"), answer("b.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("a.test"), want: "a.test", known: true,
			reason: "at the connect it was still a.test"},
		{name: "the kernel's word for a cut answer", learn: []Answer{truncated(answer("a.test"))},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("a.test"), want: "a.test", known: true,
			reason: "the kernel saw the address that the copy lost"},
		{name: "looked up at once", learn: []Answer{answer("b.test", "203.0.113.1"), answer("a.test", "203.0.113.1"),
			answer("c.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", since: 2, want: "a.test c.test", known: true,
			reason: "both are candidates, the first is not"},
		{name: "an unknown hash", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("c.test"), want: "a.test", known: true,
			reason: "then the address decides"},
		{name: "a number that is no hash", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", hash: 3, want: "a.test", known: true,
			reason: "the kernel counts answers that it could not read"},
		{name: "A and AAAA", learn: []Answer{answer("a.test", "203.0.113.1"), answer("a.test", "2001:db8::1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "a.test", known: true,
			reason: "one question does not replace the addresses of the other"},
		{name: "mapped", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "::ffff:203.0.113.1", want: "a.test", known: true,
			reason: "a dual-stack socket connects so"},
		{name: "learned mapped", learn: []Answer{answer("a.test", "::ffff:203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "a.test", known: true, reason: "the same the other way round"},
		{name: "zone", learn: []Answer{answer("a.test", "fe80::1")},
			cgroup: cgroup, addr: "fe80::1%eth0", want: "a.test", known: true, reason: "DNS knows no zones"},
		{name: "search list", learn: []Answer{answer("db.default.svc.cluster.local"), answer("db", "203.0.113.1"),
			answer("db.default.svc.cluster.local")},
			cgroup: cgroup, addr: "203.0.113.1", want: "db", known: true, reason: "a miss leaves the hit alone"},
		{name: "completed by the resolver", learn: []Answer{
			meaning("api.test", answer("api.test.shop.svc.cluster.local", "203.0.113.1"))},
			cgroup: cgroup, addr: "203.0.113.1", want: "api.test", known: true,
			reason: "the host, not the question"},
		{name: "completed by the resolver, the kernel's word",
			learn: []Answer{meaning("api.test", answer("api.test.shop.svc.cluster.local", "203.0.113.1")),
				answer("b.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("api.test.shop.svc.cluster.local"), want: "api.test",
			known: true, reason: "the kernel knows what was sent"},
		{name: "a target", learn: []Answer{service("_pg._tcp.test", "db.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", want: "db.test", known: true, reason: "a service's name is no host's"},
		{name: "a target, the kernel's word", learn: []Answer{service("_pg._tcp.test", "db.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("_pg._tcp.test"), want: "db.test", known: true,
			reason: "where the address stood in the answer section"},
		{name: "a cut service", learn: []Answer{answer("a.test", "203.0.113.1"),
			truncated(service("_pg._tcp.test", "db.test"))},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("_pg._tcp.test"), want: "a.test", known: true,
			reason: "no flow goes to a service's name"},
		{name: "another address", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: cgroup, addr: "203.0.113.2", reason: "never looked up"},
		{name: "another cgroup", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: other, addr: "203.0.113.1", reason: "names are never global"},
		{name: "another cgroup's hash", learn: []Answer{answer("a.test", "203.0.113.1")},
			cgroup: other, addr: "203.0.113.1", hash: Hash("a.test"), reason: "hashes neither"},
		{name: "a miss by hash", learn: []Answer{answer("a.test")},
			cgroup: cgroup, addr: "203.0.113.1", hash: Hash("a.test"), reason: "no one can have connected after it"},
		{name: "no address", learn: []Answer{answer("a.test", "203.0.113.1"),
			{Question: "b.test", Name: "b.test", Addrs: make([]netip.Addr, 1)}},
			cgroup: cgroup, addr: "203.0.113.2",
			reason: "the zero Addr of a careless caller is no address, and no question"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n Names
			for i, a := range tt.learn {
				n.Record(cgroup, a, time.Duration(i+1))
			}
			got := n.Lookup(tt.cgroup, netip.MustParseAddr(tt.addr), tt.hash, tt.since)
			if strings.Join(got, " ") != tt.want || (len(got) > 0) != tt.known {
				t.Errorf("got %q, want %q, %v: %s", got, tt.want, tt.known, tt.reason)
			}
			if n.Overflowed() != 0 {
				t.Errorf("overflowed %d", n.Overflowed())
			}
		})
	}
}

func TestAnswer_HasAllAddresses(t *testing.T) {
	a := service("_pg._tcp.test", "db.test", "203.0.113.2")
	a.Addrs = answer("", "203.0.113.1").Addrs
	for addr, want := range map[string]bool{"203.0.113.1": true, "203.0.113.2": true, "::ffff:203.0.113.2": true,
		"203.0.113.3": false} {
		if got := a.Has(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
}

func TestNames_InvalidateOneCgroup(t *testing.T) {
	var n Names
	n.Invalidate(1) // nothing yet
	addr := netip.MustParseAddr("203.0.113.1")
	for cgroup := range uint64(3) {
		n.Record(cgroup, answer(fmt.Sprintf("c%d.test", cgroup), addr.String()), 0)
	}
	n.Invalidate(1)
	for cgroup, want := range []bool{true, false, true} {
		byAddr := n.Lookup(uint64(cgroup), addr, 0, 0)
		byHash := n.Lookup(uint64(cgroup), netip.IPv4Unspecified(), Hash(fmt.Sprintf("c%d.test", cgroup)), 0)
		if (byAddr != nil) != want || (byHash != nil) != want {
			t.Errorf("cgroup %d: known by address %v, by question %v, want %v", cgroup, byAddr, byHash, want)
		}
	}
	if len(n.entries) != n.order.Len() || n.Overflowed() != 0 {
		t.Errorf("%d entries, %d in order, overflowed %d", len(n.entries), n.order.Len(), n.Overflowed())
	}
}

func TestNames_OverflowDropsOldest(t *testing.T) {
	var n Names
	numbered := func(i int) Answer {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0xc6120000+uint32(i))
		return answer(fmt.Sprintf("h%d.test", i), netip.AddrFrom4(b).String())
	}
	const fit = MaxNames / 2 // an address and a question each
	for i := range fit {
		n.Record(1, numbered(i), 0)
	}
	n.Record(1, numbered(0), 0) // refreshed: the oldest is now number 1
	if n.Overflowed() != 0 {
		t.Fatalf("overflowed %d before the bound was reached", n.Overflowed())
	}
	n.Record(1, numbered(fit), 0)
	if n.Overflowed() != 2 || len(n.entries) != MaxNames || n.order.Len() != MaxNames {
		t.Errorf("overflowed %d, %d entries, %d in order", n.Overflowed(), len(n.entries), n.order.Len())
	}
	for i, want := range map[int]bool{0: true, 1: false, 2: true, fit: true} {
		a := numbered(i)
		byAddr := n.Lookup(1, a.Addrs[0], 0, 0)
		byHash := n.Lookup(1, netip.IPv4Unspecified(), Hash(a.Question), 0)
		if (byAddr != nil) != want || (byHash != nil) != want {
			t.Errorf("%s: known by address %v, by question %v, want %v", a.Question, byAddr, byHash, want)
		}
	}
	for i := range 10 * fit {
		n.Record(uint64(i), numbered(i), 0)
	}
	if len(n.entries) > MaxNames || n.order.Len() > MaxNames {
		t.Errorf("%d entries, %d in order", len(n.entries), n.order.Len())
	}
}

// The address of a CDN or an ingress controller has as many names as a test looks up.
func TestNames_ManyNamesPerAddress(t *testing.T) {
	var n Names
	addr := netip.MustParseAddr("203.0.113.1")
	const most = 10_000
	for i := range most {
		n.Record(1, answer(fmt.Sprintf("h%d.test", i), addr.String()), time.Duration(i+1))
	}
	if n.Overflowed() != 0 {
		t.Errorf("overflowed %d", n.Overflowed())
	}
	for _, i := range []int{0, 1, 127, 128, 129, most - 1} {
		name := fmt.Sprintf("h%d.test", i)
		if got := n.Lookup(1, addr, Hash(name), 0); len(got) != 1 || got[0] != name {
			t.Errorf("by the hash of %s: %q", name, got)
		}
	}
	if got := n.Lookup(1, addr, 0, 1); len(got) != most {
		t.Errorf("%d candidates, want all %d", len(got), most)
	}
	if got := n.Lookup(1, addr, 0, most-1); strings.Join(got, " ") != "h9998.test h9999.test" {
		t.Errorf("of the last two: %q", got)
	}
	n.Record(1, answer("h5.test", addr.String()), most+1)
	if got := n.Lookup(1, addr, 0, 0); strings.Join(got, " ") != "h5.test" {
		t.Errorf("the last: %q", got)
	}
}

// The limit is one for all names: an address with all of them drops the oldest, and keeps the others.
func TestNames_OverflowOfOneAddress(t *testing.T) {
	var n Names
	addr := netip.MustParseAddr("203.0.113.1")
	const more = 10
	for i := range MaxNames/2 + more { // a name of the address and a question each
		n.Record(1, answer(fmt.Sprintf("h%d.test", i), addr.String()), time.Duration(i+1))
	}
	if n.Overflowed() != 2*more || n.order.Len() != MaxNames {
		t.Errorf("overflowed %d, %d in order; want %d and %d", n.Overflowed(), n.order.Len(), 2*more, MaxNames)
	}
	if got := n.Lookup(1, addr, 0, 1); len(got) != MaxNames/2 {
		t.Errorf("%d names, want %d", len(got), MaxNames/2)
	}
	if got := n.Lookup(1, netip.IPv4Unspecified(), Hash("h9.test"), 0); got != nil {
		t.Errorf("the oldest are still known: %q", got)
	}
	n.Invalidate(1)
	if len(n.entries) != 0 || n.order.Len() != 0 {
		t.Errorf("%d entries and %d names after all was forgotten", len(n.entries), n.order.Len())
	}
}
