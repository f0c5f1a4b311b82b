package flow

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestTargetReadsLikeAnAddress(t *testing.T) {
	for _, row := range []struct {
		reason string
		flow   Flow
		want   string
	}{
		{"a workload by its name", Flow{Destination: Endpoint{Kind: Workload, Name: "orders-db", Addr: addr("127.0.0.1")}, Protocol: TCP, Port: 5432}, "orders-db:5432/TCP"},
		{"with its namespace", Flow{Destination: Endpoint{Kind: Workload, Name: "db", Namespace: "shop"}, Protocol: TCP, Port: 1}, "db.shop:1/TCP"},
		{"an IPv6 address in brackets", Flow{Destination: Endpoint{Kind: Address, Addr: addr("2001:db8::7")}, Protocol: UDP, Port: 53}, "[2001:db8::7]:53/UDP"},
		{"a protocol without ports", Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: ICMP}, "203.0.113.9/ICMP"},
		{"a protocol without a name", Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: 47}, "203.0.113.9/IP/47"},
	} {
		if got := row.flow.Target(); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestEndpointsReadAsAPersonWould(t *testing.T) {
	for want, e := range map[string]Endpoint{
		"anywhere":    {Kind: Anyone, Name: "x"},
		"db.shop":     {Kind: Workload, Name: "db", Namespace: "shop"},
		"203.0.113.9": {Kind: Address, Name: "x", Addr: addr("203.0.113.9")},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for kind, want := range map[Kind]string{Workload: "workload", Resolver: "resolver", External: "external", Address: "address", Anyone: "anyone", 0: "unknown"} {
		if got := kind.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"203.0.113.1": true, "2001:db8::1": true, "8.8.8.8": true, "172.32.0.1": true, "::ffff:8.8.8.8": true,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false, "169.254.169.254": false,
		"::1": false, "fd00::1": false, "fe80::1": false, "fe80::1%eth0": false, "::ffff:10.0.0.1": false,
	} {
		if got := Public(addr(address)); got != want {
			t.Errorf("Public(%s) = %v", address, got)
		}
	}
	list := NotPublic()
	list[0] = netip.Prefix{}
	if Public(addr("10.1.2.3")) {
		t.Error("who changes the list that NotPublic returns changes the package")
	}
}

func TestIdentityKeepsWhatAPolicySees(t *testing.T) {
	public, private := addr("203.0.113.1"), addr("10.0.0.1")
	for _, row := range []struct {
		reason   string
		endpoint Endpoint
		want     Endpoint
	}{
		{"a workload is where its selector is", Endpoint{Kind: Workload, Name: "a", Addr: private, Evidence: ByListener}, Endpoint{Kind: Workload, Name: "a"}},
		{"a public name is all its addresses", Endpoint{Kind: External, Name: "a.test", Addr: public, Evidence: ByDNS}, Endpoint{Kind: External, Name: "a.test"}},
		{"a name inside needs its address", Endpoint{Kind: External, Name: "a.test", Addr: private}, Endpoint{Kind: External, Name: "a.test", Addr: private}},
		{"anyone has neither name nor address", Endpoint{Kind: Anyone, Name: "x", Namespace: "y", Addr: public, Evidence: ByOption}, Endpoint{Kind: Anyone}},
		{"an address is itself", Endpoint{Kind: Address, Addr: public}, Endpoint{Kind: Address, Addr: public}},
	} {
		if diff := cmp.Diff(row.want, row.endpoint.Identity(), compareAddrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestSetAddsUpAndKeepsTheEarliest(t *testing.T) {
	late := Flow{Destination: Endpoint{Kind: Workload, Name: "db"}, Protocol: TCP, Port: 1, Count: 2, First: 2 * time.Second, Process: Process{PID: 2}}
	early := late
	early.Count, early.First, early.Process.PID = 3, time.Second, 1
	other := late
	other.Port = 2
	want := []Flow{{Destination: late.Destination, Protocol: TCP, Port: 1, Count: 5, First: time.Second, Process: Process{PID: 1}}, other}
	for _, order := range [][]Flow{{late, early, other}, {other, early, late}} {
		var s Set
		for _, f := range order {
			s.Add(f)
		}
		if diff := cmp.Diff(want, s.Sorted(), compareAddrs); diff != "" || s.Len() != 2 {
			t.Errorf("set (-want +got):\n%s", diff)
		}
	}
}

func TestFoldHidesAddressesBehindANameInEveryOrder(t *testing.T) {
	name := func(host, address string, port uint16, first time.Duration) Flow {
		return Flow{Destination: Endpoint{Kind: External, Name: host, Addr: addr(address)}, Protocol: TCP, Port: port, Count: 1, First: first}
	}
	v6, v4 := name("api.test", "2001:db8::1", 443, 2), name("api.test", "203.0.113.1", 443, 1)
	http := name("api.test", "203.0.113.2", 80, 3)
	folded := v4
	folded.Count = 2
	want := []Flow{http, folded}
	for _, order := range [][]Flow{{v6, v4, http}, {http, v4, v6}, {v4, http, v6}} {
		if diff := cmp.Diff(want, Fold(order), compareAddrs); diff != "" {
			t.Errorf("folded (-want +got):\n%s", diff)
		}
	}
	if inside := Fold([]Flow{name("db.test", "10.0.0.1", 1, 1), name("db.test", "10.0.0.2", 1, 1)}); len(inside) != 2 {
		t.Errorf("two addresses inside fold into %d", len(inside))
	}
}
