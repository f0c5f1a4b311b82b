package enforce_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func tcp(ports ...uint16) []enforce.PortRange {
	var all []enforce.PortRange
	for _, port := range ports {
		all = append(all, enforce.PortRange{Protocol: flow.TCP, First: port, Last: port})
	}
	return all
}

func block(prefix string, except ...string) enforce.Block {
	b := enforce.Block{Prefix: netip.MustParsePrefix(prefix)}
	for _, e := range except {
		b.Except = append(b.Except, netip.MustParsePrefix(e))
	}
	return b
}

func TestBuilder_NestedBlocks(t *testing.T) {
	var b enforce.Builder
	b.Allow(block("10.0.0.0/8", "10.1.0.0/16"), tcp(80))
	b.Allow(block("10.1.2.0/24"), tcp(443))
	b.Allow(block("10.2.0.0/16"), tcp(81, 5432))
	b.Allow(block("10.3.0.0/16"), tcp(80))
	b.Allow(block("2001:db8::/32"), tcp(80))
	b.Deny(block("10.2.3.0/24"), tcp(80))
	got, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	want := map[netip.Prefix][]enforce.PortRange{
		netip.MustParsePrefix("10.0.0.0/8"):  tcp(80),
		netip.MustParsePrefix("10.1.0.0/16"): nil,
		netip.MustParsePrefix("10.1.2.0/24"): tcp(443),
		netip.MustParsePrefix("10.2.0.0/16"): {
			{Protocol: flow.TCP, First: 80, Last: 81}, {Protocol: flow.TCP, First: 5432, Last: 5432},
		},
		netip.MustParsePrefix("10.2.3.0/24"):   tcp(81, 5432),
		netip.MustParsePrefix("2001:db8::/32"): tcp(80),
	}
	if diff := cmp.Diff(want, got.Addresses, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestBuilder_Names(t *testing.T) {
	var b enforce.Builder
	for _, n := range []enforce.Name{
		{Host: "example.com", Match: enforce.AnyLabels, Ports: tcp(80)},
		{Host: "b.example.com", Match: enforce.OneLabel, Ports: tcp(443)},
		{Host: "a.b.example.com", Ports: tcp(22)},
		{Host: "a.b.example.com", Ports: tcp(23)},
		{Host: "c.b.example.com"},
		{Host: "example.com"},
	} {
		b.AllowName(n)
	}
	got, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	want := []enforce.Name{
		{Host: "a.b.example.com", Ports: enforce.Join(tcp(22, 23, 80, 443))},
		{Host: "b.example.com", Match: enforce.OneLabel, Ports: tcp(80, 443)},
		{Host: "b.example.com", Match: enforce.AnyLabels, Ports: tcp(80)},
		{Host: "c.b.example.com", Ports: tcp(80, 443)},
		{Host: "example.com"},
		{Host: "example.com", Match: enforce.AnyLabels, Ports: tcp(80)},
	}
	if diff := cmp.Diff(want, got.Names, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestBuilder_Limits(t *testing.T) {
	var many []enforce.PortRange
	for i := range uint16(enforce.MaxPorts + 1) {
		many = append(many, tcp(2*i)...)
	}
	for name, build := range map[string]func(*enforce.Builder){
		"10.0.0.0/8 has 33 ranges of ports": func(b *enforce.Builder) {
			b.Allow(block("10.0.0.0/8"), many[1:])
			b.Allow(block("10.0.0.0/8"), many[:1])
		},
		"10.1.0.0/16 has 33 ranges of ports": func(b *enforce.Builder) {
			b.Allow(block("10.0.0.0/8"), many[1:])
			b.Allow(block("10.1.0.0/16"), many[:1])
		},
		"a.example has 33 ranges of ports": func(b *enforce.Builder) {
			b.AllowName(enforce.Name{Host: "a.example", Ports: many})
		},
	} {
		var b enforce.Builder
		build(&b)
		_, err := b.Table()
		var limit *enforce.LimitError
		if !errors.As(err, &limit) || !contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
	var b enforce.Builder
	b.Allow(block("10.0.0.0/8"), many[1:])
	if _, err := b.Table(); err != nil {
		t.Errorf("%d ranges: %v", enforce.MaxPorts, err)
	}
}

func contains(text, part string) bool { return len(text) >= len(part) && text[:len(part)] == part }

// TestBuilder_RandomBlocks compares tables with the blocks from which they were made.
func TestBuilder_RandomBlocks(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(300) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		var b enforce.Builder
		var allowed, denied []granted
		for range r.IntN(12) {
			g := granted{r.block(), r.ports()}
			if r.IntN(4) == 0 {
				denied = append(denied, g)
				b.Deny(g.Block, g.ports)
			} else {
				allowed = append(allowed, g)
				b.Allow(g.Block, g.ports)
			}
		}
		table, err := b.Table()
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range borders(slices.Concat(allowed, denied)) {
			for _, port := range borderPorts {
				want := holds(allowed, addr, port) && !holds(denied, addr, port)
				if got := enforcetest.Address(table, addr, flow.TCP, port); got != want {
					t.Fatalf("seed %d, case %d: %s port %d is allowed: %v\nallowed %v\ndenied %v\ntable %v",
						seed, i, addr, port, got, allowed, denied, table.Addresses)
				}
			}
		}
	}
}

// TestUnion_RandomTables compares unions with their parts.
func TestUnion_RandomTables(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(200) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		var tables []enforce.Table
		var all []granted
		for range r.IntN(5) {
			var b enforce.Builder
			for range r.IntN(6) {
				g := granted{r.block(), r.ports()}
				all = append(all, g)
				b.Allow(g.Block, g.ports)
				b.AllowName(r.name())
			}
			table, err := b.Table()
			if err != nil {
				t.Fatal(err)
			}
			table.Workloads, table.APIServer, table.Host = r.ports(), r.ports(), r.ports()
			table.Workload = func(name, namespace string) []enforce.PortRange { return tcp(uint16(len(tables))) }
			tables = append(tables, table)
		}
		union := enforce.Union(tables...)
		check := func(what string, got bool, of func(enforce.Table) bool) {
			t.Helper()
			if want := slices.ContainsFunc(tables, of); got != want {
				t.Fatalf("seed %d, case %d: the union allows %s: %v\n%+v\n%+v", seed, i, what, got, union, tables)
			}
		}
		for _, port := range borderPorts {
			for _, addr := range borders(all) {
				allows := func(t enforce.Table) bool { return enforcetest.Address(t, addr, flow.TCP, port) }
				if got := enforcetest.Holds(union.PortsOfAddress(addr), flow.TCP, port); got != allows(union) {
					t.Fatalf("seed %d, case %d: %s has port %d: %v", seed, i, addr, port, got)
				}
				check(fmt.Sprintf("%s:%d", addr, port), allows(union), allows)
			}
			for _, host := range slices.Concat(hosts, []string{"x.b.example", "x.y.b.example", "other.test"}) {
				allows := func(t enforce.Table) bool { return enforcetest.Named(t, host, flow.TCP, port) }
				if got := enforcetest.Holds(union.PortsOfName(host), flow.TCP, port); got != allows(union) {
					t.Fatalf("seed %d, case %d: %s has port %d: %v", seed, i, host, port, got)
				}
				check(fmt.Sprintf("%s:%d", host, port), allows(union), allows)
				looksUp := func(t enforce.Table) bool { return enforcetest.Lookup(t, host) }
				check(host, looksUp(union), looksUp)
			}
			for what, of := range map[string]func(enforce.Table) []enforce.PortRange{
				"workloads":  func(t enforce.Table) []enforce.PortRange { return t.Workloads },
				"API server": func(t enforce.Table) []enforce.PortRange { return t.APIServer },
				"host":       func(t enforce.Table) []enforce.PortRange { return t.Host },
				"workload":   func(t enforce.Table) []enforce.PortRange { return t.Workload("db", "") },
			} {
				allows := func(t enforce.Table) bool { return enforcetest.Holds(of(t), flow.TCP, port) }
				check(fmt.Sprintf("%s:%d", what, port), allows(union), allows)
			}
		}
	}
}

func TestUnion_Unrestricted(t *testing.T) {
	if got := enforce.Union(enforce.Table{}, enforce.Table{Unrestricted: true}); !got.Unrestricted {
		t.Error("a table without restrictions adds some")
	}
	if got := enforce.Union(); got.Unrestricted || len(got.Addresses) > 0 || len(got.Workload("db", "")) > 0 {
		t.Errorf("no table allows %+v", got)
	}
}

// TestUnion_TooManyRanges checks that the union refuses nothing that a table allows.
func TestUnion_TooManyRanges(t *testing.T) {
	prefix := netip.MustParsePrefix("10.0.0.0/8")
	var odd, even []enforce.PortRange
	for i := range uint16(enforce.MaxPorts) {
		odd, even = append(odd, tcp(10*i+1)...), append(even, tcp(10*i+3)...)
	}
	var tables []enforce.Table
	for _, ports := range [][]enforce.PortRange{odd, even} {
		tables = append(tables, enforce.Table{
			Addresses: map[netip.Prefix][]enforce.PortRange{prefix: ports},
			Names:     []enforce.Name{{Host: "a.example", Ports: ports}},
		})
	}
	var limit *enforce.LimitError
	if _, err := enforce.Merge(tables...); !errors.As(err, &limit) || limit.Ranges != 2*enforce.MaxPorts {
		t.Errorf("exact union: %v", err)
	}
	union := enforce.Union(tables...)
	for _, ports := range [][]enforce.PortRange{union.Addresses[prefix], union.Names[0].Ports} {
		if len(ports) > enforce.MaxPorts {
			t.Errorf("%d ranges", len(ports))
		}
		for _, r := range slices.Concat(odd, even) {
			if !enforcetest.Holds(ports, flow.TCP, r.First) {
				t.Errorf("port %d is refused", r.First)
			}
		}
		if enforcetest.Holds(ports, flow.TCP, 6) {
			t.Error("a wide gap is filled")
		}
	}
	if len(tables[0].Addresses[prefix]) != enforce.MaxPorts || tables[0].Addresses[prefix][0].Last != 1 {
		t.Error("the union changed a table")
	}
}

func TestSubtract(t *testing.T) {
	tcpRange := func(first, last uint16) []enforce.PortRange {
		return []enforce.PortRange{{Protocol: flow.TCP, First: first, Last: last}}
	}
	all := tcpRange(0, 65535)
	for _, c := range []struct {
		reason        string
		from, without []enforce.PortRange
		want          []enforce.PortRange
	}{
		{"the ends", all, tcp(0, 65535), tcpRange(1, 65534)},
		{"another protocol", tcp(53), []enforce.PortRange{{Protocol: flow.UDP, First: 53, Last: 53}}, tcp(53)},
		{"everything", tcp(53), enforce.Everything(), nil},
		{"all", tcp(53), all, nil},
		{"nothing", enforce.Everything(), nil, enforce.Everything()},
	} {
		if diff := cmp.Diff(c.want, enforce.Subtract(c.from, c.without), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
	left := enforce.Subtract(enforce.Everything(), tcp(25))
	for _, c := range []struct {
		protocol flow.Protocol
		port     uint16
		want     bool
	}{{flow.TCP, 24, true}, {flow.TCP, 25, false}, {flow.TCP, 0, true}, {flow.UDP, 25, true}, {flow.ICMPv6, 128, true}} {
		if got := enforcetest.Holds(left, c.protocol, c.port); got != c.want {
			t.Errorf("everything without 25/TCP has %d/%s: %v", c.port, c.protocol, got)
		}
	}
}

// TestBuilder_ManyBlocks checks that the work grows with the number of entries and not with its square.
func TestBuilder_ManyBlocks(t *testing.T) {
	few, many := testing.AllocsPerRun(1, func() { large(1000) }), testing.AllocsPerRun(1, func() { large(10000) })
	if many > 12*few {
		t.Errorf("1,000 entries need %.0f allocations, 10,000 need %.0f", few, many)
	}
	table := large(10000)
	if len(table.Addresses) < 10000 || len(table.Names) != 10000 {
		t.Errorf("%d addresses, %d names", len(table.Addresses), len(table.Names))
	}
}

// large returns a table of n addresses inside of ranges with exceptions, and of n names.
func large(n int) enforce.Table {
	var b enforce.Builder
	b.Allow(block("0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/16"), tcp(443))
	b.Allow(block("10.0.0.0/9", "10.1.0.0/16"), tcp(80))
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range n {
		b.Allow(enforce.Block{Prefix: netip.PrefixFrom(addr, 32)}, tcp(uint16(i%100+1000)))
		b.AllowName(enforce.Name{Host: fmt.Sprintf("h%d.example.com", i), Ports: tcp(443)})
		addr = addr.Next()
	}
	table, err := b.Table()
	if err != nil {
		panic(err) // a fault of the test
	}
	return table
}

func BenchmarkBuilder_10000(b *testing.B) {
	for b.Loop() {
		large(10000)
	}
}

func BenchmarkUnion_64Tables(b *testing.B) {
	table := large(1000)
	b.Run("equal", func(b *testing.B) {
		tables := slices.Repeat([]enforce.Table{table}, 64)
		for b.Loop() {
			enforce.Union(tables...)
		}
	})
	b.Run("distinct", func(b *testing.B) {
		var tables []enforce.Table
		for i := range 64 {
			other := enforce.Table{Addresses: maps.Clone(table.Addresses)}
			for p := range other.Addresses {
				other.Addresses[p] = tcp(uint16(i + 1))
			}
			tables = append(tables, other)
		}
		for b.Loop() {
			enforce.Union(tables...)
		}
	})
}

// draw draws from small pools, so that the drawn values collide.
type draw struct{ *rand.Rand }

func (r draw) pick(from ...string) string { return from[r.IntN(len(from))] }

var hosts = []string{"example", "a.example", "b.example", "a.b.example", "a.a.b.example"}

func (r draw) name() enforce.Name {
	if r.IntN(6) == 0 {
		return enforce.Name{Match: enforce.AnyLabels, Ports: r.ports()}
	}
	return enforce.Name{Host: r.pick(hosts...), Match: enforce.Match(r.IntN(3)), Ports: r.ports()}
}

func (r draw) block() enforce.Block {
	wide := r.pick("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.64.0.0/10", "::/0", "fd00::/8")
	prefix := netip.MustParsePrefix(wide)
	if r.IntN(2) == 0 {
		prefix = netip.PrefixFrom(r.inside(prefix), prefix.Bits()+r.IntN(4)).Masked()
	}
	b := enforce.Block{Prefix: prefix}
	for range r.IntN(3) {
		b.Except = append(b.Except, netip.PrefixFrom(r.inside(prefix), prefix.Bits()+1+r.IntN(4)).Masked())
	}
	return b
}

// inside draws an address that is near the beginning of a prefix in each of its parts.
func (r draw) inside(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < min(p.Bits()+8, len(bytes)*8); bit++ {
		if r.IntN(2) == 0 {
			bytes[bit/8] |= 0x80 >> (bit % 8)
		}
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

func (r draw) ports() []enforce.PortRange {
	var all []enforce.PortRange
	for range r.IntN(3) {
		first := borderPorts[r.IntN(len(borderPorts))]
		last := max(first, min(first, 65533)+uint16(r.IntN(3)))
		all = append(all, enforce.PortRange{Protocol: flow.TCP, First: first, Last: last})
	}
	return enforce.Join(all)
}

var borderPorts = []uint16{0, 1, 2, 80, 81, 82, 443, 65534, 65535}

// granted are ports of a block.
type granted struct {
	enforce.Block
	ports []enforce.PortRange
}

func holds(all []granted, addr netip.Addr, port uint16) bool {
	return slices.ContainsFunc(all, func(g granted) bool {
		return g.Contains(addr) && enforcetest.Holds(g.ports, flow.TCP, port)
	})
}

// borders returns the addresses at and around both ends of all blocks and exceptions.
func borders(all []granted) []netip.Addr {
	var found []netip.Addr
	for _, g := range all {
		for _, p := range append([]netip.Prefix{g.Prefix}, g.Except...) {
			first, last := p.Masked().Addr(), lastOf(p)
			for _, addr := range []netip.Addr{first.Prev(), first, last, last.Next()} {
				if addr.IsValid() {
					found = append(found, addr)
				}
			}
		}
	}
	return found
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
