package flow

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestFlow_Target(t *testing.T) {
	for _, row := range []struct {
		reason string
		flow   Flow
		want   string
	}{
		{
			"a workload by its name",
			Flow{Destination: Endpoint{Kind: Workload, Name: "orders-db", Addr: addr("127.0.0.1")}, Protocol: TCP, Port: 5432},
			"orders-db:5432/TCP",
		},
		{
			"with its namespace",
			Flow{Destination: Endpoint{Kind: Workload, Name: "db", Namespace: "shop"}, Protocol: TCP, Port: 1},
			"db.shop:1/TCP",
		},
		{
			"an IPv6 address in brackets",
			Flow{Destination: Endpoint{Kind: Address, Addr: addr("2001:db8::7")}, Protocol: UDP, Port: 53},
			"[2001:db8::7]:53/UDP",
		},
		{
			"a protocol without ports",
			Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: UDPLite},
			"203.0.113.9/UDP-Lite",
		},
		{
			"ICMP of a type that is not known",
			Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: ICMP},
			"203.0.113.9/ICMP",
		},
		{
			"a ping",
			Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: ICMP, ICMPType: 8},
			"203.0.113.9/ICMP echo request",
		},
		{
			"a ping over IPv6",
			Flow{Destination: Endpoint{Kind: Workload, Name: "db"}, Protocol: ICMPv6, ICMPType: 128},
			"db/ICMPv6 echo request",
		},
		{
			"a type means another thing over IPv6",
			Flow{Destination: Endpoint{Kind: Workload, Name: "db"}, Protocol: ICMPv6, ICMPType: 8},
			"db/ICMPv6 type 8",
		},
		{
			"a lookup that got no address",
			Flow{Destination: Endpoint{Kind: External, Name: "api.example.com"}, Lookup: true},
			"api.example.com:*",
		},
		{
			"a protocol without a name",
			Flow{Destination: Endpoint{Kind: Address, Addr: addr("203.0.113.9")}, Protocol: 47},
			"203.0.113.9/IP/47",
		},
	} {
		if got := row.flow.Target(); got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestFrame_PackageAndModule(t *testing.T) {
	for function, want := range map[string]string{
		"net/http.(*Client).Do":                         "net/http",
		"net.start":                                     "net",
		"gopkg.in/yaml%2ev3.Unmarshal":                  "gopkg.in/yaml.v3",
		"example.com/shop/payments_test.TestPay.func1":  "example.com/shop/payments_test",
		"example.com/shop/payments.(*Client[...]).Send": "example.com/shop/payments",
	} {
		if got := (Frame{Function: function}).Package(); got != want {
			t.Errorf("%s is in package %q, want %q", function, got, want)
		}
	}
	test := Frame{Function: "example.com/shop/payments_test.TestPay"}
	for module, want := range map[string]bool{
		"example.com/shop": true, "example.com/shop/payments": true, "example.com": true,
		"example.com/sho": false, "": false, "net/http": false,
	} {
		if test.In(module) != want {
			t.Errorf("an external test is in module %q: %v", module, !want)
		}
	}
}

// fill gives every field of a struct a value other than zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case field.Type() == reflect.TypeFor[netip.Addr]():
			field.Set(reflect.ValueOf(addr("203.0.113.9")))
		case field.Kind() == reflect.Struct:
			fill(t, field)
		default:
			set(t, name, field, 1)
		}
	}
}

// set gives a field that is not a struct the n-th of its values.
func set(t *testing.T, name string, field reflect.Value, n int) {
	t.Helper()
	switch field.Interface().(type) {
	case string:
		field.SetString(strings.Repeat("x", n))
	case bool:
		field.SetBool(n == 1)
	case []string:
		field.Set(reflect.ValueOf([]string{"a", strings.Repeat("x", n)}))
	case []Request:
		field.Set(reflect.ValueOf([]Request{{Path: "/a"}, {Path: strings.Repeat("x", n)}}))
	case []Frame:
		field.Set(reflect.ValueOf([]Frame{{Function: "a"}, {Function: "a", Line: n}}))
	default:
		switch {
		case field.CanInt():
			field.SetInt(int64(n))
		case field.CanUint():
			field.SetUint(uint64(n))
		default:
			t.Fatalf("field %s has a type that this test does not know: %s", name, field.Type())
		}
	}
}

// A field that is added to Flow, Process or Endpoint and not to Equal fails here.
func TestFlow_EqualComparesEveryField(t *testing.T) {
	var want Flow
	fill(t, reflect.ValueOf(&want).Elem())
	same := want
	same.Binaries, same.Process.Parents = slices.Clone(want.Binaries), slices.Clone(want.Process.Parents)
	same.Process.Stack = slices.Clone(want.Process.Stack)
	if !want.Equal(same) || !same.Equal(want) {
		t.Errorf("a copy differs:\n%+v\n%+v", want, same)
	}
	for _, of := range []func(*Flow) reflect.Value{
		func(f *Flow) reflect.Value { return reflect.ValueOf(f).Elem() },
		func(f *Flow) reflect.Value { return reflect.ValueOf(&f.Process).Elem() },
		func(f *Flow) reflect.Value { return reflect.ValueOf(&f.Source).Elem() },
		func(f *Flow) reflect.Value { return reflect.ValueOf(&f.Destination).Elem() },
	} {
		for i := range of(&want).NumField() {
			other := want
			field, name := of(&other).Field(i), of(&other).Type().Field(i).Name
			switch {
			case field.Type() == reflect.TypeFor[netip.Addr]():
				field.Set(reflect.ValueOf(addr("203.0.113.10")))
			case field.Kind() == reflect.Struct:
				continue // has its own turn
			default:
				set(t, name, field, 2)
			}
			if want.Equal(other) || other.Equal(want) {
				t.Errorf("a flow equals one with another %s", name)
			}
		}
	}
}

func TestFlow_EqualTakesNilForEmpty(t *testing.T) {
	empty := Flow{Binaries: []string{}, Process: Process{Parents: []string{}, Stack: []Frame{}}}
	if !empty.Equal(Flow{}) || !(Flow{}).Equal(empty) || !empty.Process.Equal(Process{}) {
		t.Error("empty lists differ from nil")
	}
}

func TestEndpoint_String(t *testing.T) {
	for want, e := range map[string]Endpoint{
		"anywhere":    {Kind: Anyone, Name: "x"},
		"db.shop":     {Kind: Workload, Name: "db", Namespace: "shop"},
		"203.0.113.9": {Kind: Address, Name: "x", Addr: addr("203.0.113.9")},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for kind, want := range map[Kind]string{
		Workload: "workload", Resolver: "resolver", External: "external", Address: "address", Anyone: "anyone",
		0: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPublic_Addresses(t *testing.T) {
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

func TestEndpoint_Identity(t *testing.T) {
	public, private := addr("203.0.113.1"), addr("10.0.0.1")
	for _, row := range []struct {
		reason   string
		endpoint Endpoint
		want     Endpoint
	}{
		{
			"a workload is where its selector is",
			Endpoint{Kind: Workload, Name: "a", Addr: private, Evidence: ByListener},
			Endpoint{Kind: Workload, Name: "a"},
		},
		{
			"a public name is all its addresses",
			Endpoint{Kind: External, Name: "a.test", Addr: public, Evidence: ByDNS},
			Endpoint{Kind: External, Name: "a.test"},
		},
		{
			"a name inside needs its address",
			Endpoint{Kind: External, Name: "a.test", Addr: private},
			Endpoint{Kind: External, Name: "a.test", Addr: private},
		},
		{
			"anyone has neither name nor address",
			Endpoint{Kind: Anyone, Name: "x", Namespace: "y", Addr: public, Evidence: ByOption},
			Endpoint{Kind: Anyone},
		},
		{"an address is itself", Endpoint{Kind: Address, Addr: public}, Endpoint{Kind: Address, Addr: public}},
	} {
		if diff := cmp.Diff(row.want, row.endpoint.Identity(), compareAddrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestSet_AddsCountsKeepsEarliest(t *testing.T) {
	late := Flow{
		Destination: Endpoint{Kind: Workload, Name: "db"},
		Protocol:    TCP, Port: 1, Count: 2, First: 2 * time.Second, Process: Process{PID: 2},
	}
	early := late
	early.Count, early.Refused, early.First, early.Process.PID = 3, 2, time.Second, 1
	other := late
	other.Port = 2
	ping, clock := late, late
	ping.Protocol, ping.Port, ping.ICMPType = ICMP, 0, 8
	clock.Protocol, clock.Port, clock.ICMPType = ICMP, 0, 13
	late.Refused = 1
	want := []Flow{
		ping, clock,
		{
			Destination: late.Destination, Protocol: TCP, Port: 1,
			Count: 5, Refused: 3, First: time.Second, Process: Process{PID: 1},
		},
		other,
	}
	for _, order := range [][]Flow{{late, early, other, ping, clock}, {clock, other, ping, early, late}} {
		var s Set
		for _, f := range order {
			s.Add(f)
		}
		if diff := cmp.Diff(want, s.Sorted(), compareAddrs); diff != "" || s.Len() != 4 {
			t.Errorf("set (-want +got):\n%s", diff)
		}
	}
}

func TestFold_MergesAddressesOfAName(t *testing.T) {
	name := func(host, address string, port uint16, first time.Duration) Flow {
		return Flow{
			Destination: Endpoint{Kind: External, Name: host, Addr: addr(address)},
			Protocol:    TCP, Port: port, Count: 1, Refused: 1, First: first,
		}
	}
	v6, v4 := name("api.test", "2001:db8::1", 443, 2), name("api.test", "203.0.113.1", 443, 1)
	http := name("api.test", "203.0.113.2", 80, 3)
	folded := v4
	folded.Count, folded.Refused = 2, 2
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

func TestFold_SeparatesLookupsFromConnections(t *testing.T) {
	host := Endpoint{Kind: External, Name: "api.example.com"}
	lookup := Flow{Destination: host, Lookup: true, Count: 1}
	before := Flow{Destination: host, Protocol: TCP, Port: 443, Count: 1, Before: true}
	opened := Flow{Destination: host, Protocol: TCP, Port: 443, Count: 2}
	both := opened
	both.Count = 3
	got := Fold([]Flow{lookup, before, opened})
	if diff := cmp.Diff([]Flow{lookup, both}, got, compareAddrs); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFold_UnitesBinaries(t *testing.T) {
	opened := func(binaries ...string) Flow {
		return Flow{Destination: Endpoint{Kind: Workload, Name: "db"}, Protocol: TCP, Port: 1, Count: 1, Binaries: binaries}
	}
	for _, row := range []struct {
		reason string
		flows  []Flow
		want   []string
	}{
		{"none", []Flow{opened(), opened()}, nil},
		{"of the first only", []Flow{opened("curl"), opened()}, []string{"curl"}},
		{"of the second only", []Flow{opened(), opened("curl")}, []string{"curl"}},
		{
			"sorted and without duplicates",
			[]Flow{opened("psql"), opened("curl", "psql"), opened("cat")},
			[]string{"cat", "curl", "psql"},
		},
	} {
		var s Set
		given := make([][]string, len(row.flows))
		for i, f := range row.flows {
			s.Add(f)
			given[i] = slices.Clone(f.Binaries)
		}
		for by, flows := range map[string][]Flow{"Fold": Fold(row.flows), "Set": s.Sorted()} {
			if len(flows) != 1 || !slices.Equal(flows[0].Binaries, row.want) {
				t.Errorf("%s: %s: %+v, want %q", by, row.reason, flows, row.want)
			}
		}
		for i, f := range row.flows {
			if !slices.Equal(f.Binaries, given[i]) {
				t.Errorf("%s: the flow that was added became %q, it was %q", row.reason, f.Binaries, given[i])
			}
		}
	}
}
