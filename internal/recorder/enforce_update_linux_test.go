package recorder

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func prefixesOf(all ...string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, p := range all {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	return prefixes
}

// Rules that are added one after the other decide like all of them at once, also where a prefix is nested in another.
func TestEnforceUpdate_SameAsAtOnce(t *testing.T) {
	seed := rand.Uint64()
	nested := prefixesOf("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.2.0.0/16", "0.0.0.0/0")
	hosts := []string{"a.example", "b.a.example", "example", "c.b.a.example"}
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		var b enforce.Builder
		var kernel probe.Rules
		for range 1 + r.IntN(5) {
			for range r.IntN(3) {
				ports := onePort(uint16(80+r.IntN(3)), flow.TCP)
				b.Allow(enforce.Block{Prefix: nested[r.IntN(len(nested))]}, ports)
				b.AllowName(enforce.Name{Host: hosts[r.IntN(len(hosts))], Match: enforce.Match(r.IntN(3)), Ports: ports})
			}
			t1, err := b.Table()
			if err != nil {
				t.Fatal(err)
			}
			kernel = together(kernel, missing(kernel, probe.Rules{Addresses: t1.Addresses, Names: t1.Names}))
		}
		want, err := b.Table()
		if err != nil {
			t.Fatal(err)
		}
		got := enforce.Table{Addresses: kernel.Addresses, Names: kernel.Names}
		for port := uint16(79); port < 84; port++ {
			for _, addr := range []string{"10.1.2.3", "10.1.2.4", "10.1.3.1", "10.2.0.1", "10.3.0.1", "11.0.0.1"} {
				at := netip.MustParseAddr(addr)
				if is := enforcetest.Address(got, at, flow.TCP, port); is != enforcetest.Address(want, at, flow.TCP, port) {
					t.Fatalf("seed %d, case %d: %s port %d is allowed: %t", seed, i, addr, port, is)
				}
			}
			for _, host := range append(hosts, "x.a.example", "y.x.a.example") {
				if is := enforcetest.Named(got, host, flow.TCP, port); is != enforcetest.Named(want, host, flow.TCP, port) {
					t.Fatalf("seed %d, case %d: %s port %d is allowed: %t", seed, i, host, port, is)
				}
			}
		}
	}
}

func TestEnforceUpdate_OnlyWhatIsMissing(t *testing.T) {
	rules := probe.Rules{
		Addresses: map[netip.Prefix][]enforce.PortRange{netip.MustParsePrefix("10.0.0.0/8"): onePort(80, flow.TCP)},
		Names:     []enforce.Name{{Host: "api.example"}},
	}
	if left := missing(rules, rules); !isEmpty(left) {
		t.Errorf("of the same rules these are missing: %v", left)
	}
}
