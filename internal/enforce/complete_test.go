package enforce_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/enforce/enforcetest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A completed table allows what it did and what was added, and no exception of the one denies what the other allows.
func TestBuilder_AllowTable(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(200) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		var first, both enforce.Builder
		var granted1, granted2 []granted
		for range r.IntN(6) {
			g := granted{r.block(), r.ports()}
			granted1 = append(granted1, g)
			first.Allow(g.Block, g.ports)
		}
		table, err := first.Table()
		if err != nil {
			t.Fatal(err)
		}
		both.AllowTable(table)
		for range r.IntN(6) {
			g := granted{r.block(), r.ports()}
			granted2 = append(granted2, g)
			both.Allow(g.Block, g.ports)
		}
		got, err := both.Table()
		if err != nil {
			t.Fatal(err)
		}
		all := append(granted1, granted2...)
		for _, addr := range borders(all) {
			for _, port := range borderPorts {
				want := holds(all, addr, port)
				if is := enforcetest.Address(got, addr, flow.TCP, port); is != want {
					t.Fatalf("seed %d, case %d: %s port %d is allowed: %v\ntable %v\nadded %v", seed, i, addr, port, is,
						table.Addresses, granted2)
				}
			}
		}
	}
}

func TestBuilder_CompleteNames(t *testing.T) {
	var b enforce.Builder
	b.AllowTable(enforce.Table{Names: []enforce.Name{
		{Host: "api.example", Ports: tcp(443)}, {Host: "example", Match: enforce.OneLabel, Ports: tcp(80)}, enforce.EveryName,
	}})
	b.CompleteNames([]string{"corp", "test"})
	if got := b.PortsOf("api.example.corp"); !cmp.Equal(got, tcp(80, 443)) {
		t.Errorf("api.example.corp has the ports %v", got)
	}
	if got := b.PortsOf("other.test"); len(got) > 0 {
		t.Errorf("other.test has the ports %v", got)
	}
	got, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	want := []enforce.Name{
		enforce.EveryName,
		{Host: "api.example", Ports: tcp(80, 443)},
		{Host: "api.example.corp", Ports: tcp(80, 443)},
		{Host: "api.example.test", Ports: tcp(80, 443)},
		{Host: "example", Match: enforce.OneLabel, Ports: tcp(80)},
		{Host: "example.corp", Match: enforce.OneLabel, Ports: tcp(80)},
		{Host: "example.test", Match: enforce.OneLabel, Ports: tcp(80)},
	}
	ignoreWider := cmpopts.IgnoreSliceElements(func(n enforce.Name) bool {
		return n.Match == enforce.AnyLabels && n.Host != ""
	})
	if diff := cmp.Diff(want, got.Names, cmpopts.EquateEmpty(), ignoreWider); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// glibc asks for www.lab, www.corp and www in turn, and stops where a query fails.
func TestBuilder_CompleteNamesOfShortForm(t *testing.T) {
	var b enforce.Builder
	b.AllowName(enforce.Name{Host: "www.corp", Ports: tcp(443)})
	b.CompleteNames([]string{"lab", "corp"})
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"www", "www.lab", "www.corp"} {
		if !enforcetest.Lookup(table, host) {
			t.Errorf("the lookup of %s is refused", host)
		}
	}
	for host, want := range map[string]bool{"www": false, "www.lab": false, "www.corp": true} {
		if got := enforcetest.Named(table, host, flow.TCP, 443); got != want {
			t.Errorf("%s is allowed: %v, want %v", host, got, want)
		}
	}
	if enforcetest.Lookup(table, "mail.lab") {
		t.Error("the lookup of another name is allowed")
	}
}
