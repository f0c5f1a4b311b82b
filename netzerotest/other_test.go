package netzerotest

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// withoutWords are flows for which a NetworkPolicy, or either dialect, has no rule.
func withoutWords() map[string]Flow {
	server := flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.9")}
	odd := flow.Endpoint{Kind: flow.External, Name: "a b.ctl.test", Addr: server.Addr, Evidence: flow.ByDNS}
	shop := flow.Endpoint{Kind: flow.Workload, Name: "shop"}
	return map[string]Flow{
		"a ping":                    {Source: shop, Destination: server, Protocol: flow.ICMP, ICMPType: 8, Count: 1},
		"a tunnel":                  {Source: shop, Destination: server, Protocol: 47, Count: 1},
		"UDP-Lite":                  {Source: shop, Destination: server, Protocol: flow.UDPLite, Port: 9, Count: 1},
		"port 0":                    {Source: shop, Destination: server, Protocol: flow.TCP, Count: 1},
		"a name that is no host's":  {Source: shop, Destination: odd, Protocol: flow.TCP, Port: 8443, Count: 1},
		"a look-up":                 {Source: shop, Destination: flow.Endpoint{Kind: flow.External, Name: "telemetry.example"}, Lookup: true, Count: 1},
		"a look-up of such a name":  {Source: shop, Destination: flow.Endpoint{Kind: flow.External, Name: "a b.ctl.test"}, Lookup: true, Count: 1},
		"no address and no name":    {Source: shop, Destination: flow.Endpoint{Kind: flow.Address}, Protocol: flow.TCP, Port: 80, Count: 1},
		"an address of the cluster": {Source: shop, Destination: flow.Endpoint{Kind: flow.Workload, Name: "x y", Addr: netip.MustParseAddr("10.9.0.1")}, Protocol: flow.UDP, Port: 9, Count: 1},
	}
}

// A flow that no rule is for fails the test, in either dialect, until the golden lists it.
func TestFlowsWithoutRulesAreRed(t *testing.T) {
	for reason, f := range withoutWords() {
		scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
		redUntilListed(t, "NetworkPolicy, "+reason, kubernetes(scope), f)
		redUntilListed(t, "CiliumNetworkPolicy, "+reason, ciliums(scope), f)
	}
}

func redUntilListed[P golden.Policy](t *testing.T, reason string, d dialect[P], f Flow) {
	t.Helper()
	read := func(policies []P) *golden.File {
		t.Helper()
		text, err := golden.Format(golden.Header{Test: "TestShop"}, policies)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := golden.Read(path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", reason, err, text)
		}
		return file
	}
	flows := []Flow{f}
	result := report.Report{Test: "TestShop", Golden: "x.yaml"}
	compare(&result, d, read(d.rules.Generate(nil)), flows)
	if !result.Failed() || len(result.Denied) == 0 || len(result.Notices) > 0 {
		t.Errorf("%s: passes, with notices %q", reason, result.Notices)
	}
	text := result.String()
	if strings.Count(text, f.Target()) == 0 {
		t.Errorf("%s: the text does not name %s:\n%s", reason, f.Target(), text)
	}
	updated := read(d.rules.Merge(d.of(read(d.rules.Generate(nil))), flows))
	refused := d.refused(d.of(updated), flows)
	if f.Destination == (flow.Endpoint{Kind: flow.Address}) { // nothing could allow it
		if len(refused) != 1 {
			t.Errorf("%s: refused: %q", reason, refused)
		}
		return
	}
	result = report.Report{Test: "TestShop", Golden: "x.yaml", Strict: true}
	compare(&result, d, updated, flows)
	compareRest(&result, d, updated, flows)
	if result.Failed() || len(refused) > 0 {
		t.Errorf("%s: fails after an update: refused %q\n%s", reason, refused, result)
	}
	result = report.Report{Test: "TestShop", Golden: "x.yaml", Strict: true}
	compareRest(&result, d, updated, nil)
	if !result.Failed() {
		t.Errorf("%s: what nobody needs any more passes with Strict", reason)
	}
}

// A host or an address without a port leaves out everything that goes there.
func TestIgnoreNamesFlowsWithoutPorts(t *testing.T) {
	named := func(name, addr string, f Flow) Flow {
		f.Destination = flow.Endpoint{Kind: flow.External, Name: name}
		if addr != "" {
			f.Destination.Addr = netip.MustParseAddr(addr)
		}
		return f
	}
	ping, tunnel, lookup := Flow{Protocol: flow.ICMP, ICMPType: 8}, Flow{Protocol: 47}, Flow{Lookup: true}
	for address, rows := range map[string][]struct {
		flow Flow
		want bool
	}{
		"203.0.113.9":       {{named("vpn.example", "203.0.113.9", ping), true}, {named("vpn.example", "203.0.113.10", ping), false}},
		"203.0.113.0/24":    {{named("vpn.example", "203.0.113.9", tunnel), true}, {named("vpn.example", "198.51.100.9", tunnel), false}},
		"vpn.example":       {{named("vpn.example", "203.0.113.9", tunnel), true}, {named("vpn.example", "", lookup), true}, {named("x.example", "", lookup), false}},
		"*.vendor.example":  {{named("telemetry.vendor.example", "", lookup), true}, {named("vendor.example", "", lookup), false}},
		"vpn.example:443":   {{named("vpn.example", "203.0.113.9", ping), false}, {named("vpn.example", "", lookup), false}},
		"203.0.113.9:443":   {{named("vpn.example", "203.0.113.9", ping), false}},
		"telemetry.example": {{named("telemetry.example", "", lookup), true}},
	} {
		var c config
		if err := Ignore(address).apply(&c); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if got := c.ignored().Has(row.flow); got != row.want {
				t.Errorf("Ignore(%q) leaves out %s: %v", address, row.flow.Target(), got)
			}
		}
	}
}

const endpoints = `{apiVersion: v1, kind: Service, metadata: {name: ldap}, spec: {ports: [{port: 389}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: ldap}, subsets: [{addresses: [{ip: 203.0.113.9}], ports: [{port: 389}]}]}
`

// What goes to the addresses behind a Service is a flow, at whichever port, and without one.
func TestNothingToAServiceIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(endpoints), 0o600); err != nil {
		t.Fatal(err)
	}
	manifests, err := manifest.Read(dir, "all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ldap := flow.Endpoint{Kind: flow.Workload, Name: "ldap"}
	shop := flow.Endpoint{Kind: flow.Workload, Name: "shop"}
	for _, f := range []Flow{
		{Source: shop, Destination: ldap, Protocol: flow.TCP, Port: 389},
		{Source: shop, Destination: ldap, Protocol: flow.UDP, Port: 389},
		{Source: shop, Destination: ldap, Protocol: flow.ICMP, ICMPType: 8},
		{Source: shop, Destination: ldap, Lookup: true},
	} {
		flows, _, _, err := config{manifests: manifests}.deploy(recording.Recording{Flows: []Flow{f}, Workloads: []recording.Workload{{Name: "shop"}}})
		if err != nil || len(flows) != 1 || flows[0].Protocol != f.Protocol || flows[0].Lookup != f.Lookup ||
			!f.Lookup && !slices.Equal([]netip.Addr{flows[0].Destination.Addr}, []netip.Addr{netip.MustParseAddr("203.0.113.9")}) {
			t.Errorf("%s became %v: %v", f.Target(), flows, err)
		}
	}
}
