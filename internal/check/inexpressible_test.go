package check

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// inexpressible returns flows that NetworkPolicies, or both dialects, cannot express.
func inexpressible() map[string]flow.Flow {
	server := flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.9")}
	odd := flow.Endpoint{Kind: flow.External, Name: "a b.ctl.test", Addr: server.Addr, Evidence: flow.ByDNS}
	shop := flow.Endpoint{Kind: flow.Workload, Name: "shop"}
	return map[string]flow.Flow{
		"a ping":                   {Source: shop, Destination: server, Protocol: flow.ICMP, ICMPType: 8, Count: 1},
		"a tunnel":                 {Source: shop, Destination: server, Protocol: 47, Count: 1},
		"UDP-Lite":                 {Source: shop, Destination: server, Protocol: flow.UDPLite, Port: 9, Count: 1},
		"port 0":                   {Source: shop, Destination: server, Protocol: flow.TCP, Count: 1},
		"a name that is no host's": {Source: shop, Destination: odd, Protocol: flow.TCP, Port: 8443, Count: 1},
		"a lookup": {
			Source:      shop,
			Destination: flow.Endpoint{Kind: flow.External, Name: "telemetry.example"},
			Lookup:      true, Count: 1,
		},
		"a lookup of such a name": {
			Source:      shop,
			Destination: flow.Endpoint{Kind: flow.External, Name: "a b.ctl.test"},
			Lookup:      true, Count: 1,
		},
		"no address and no name": {
			Source:      shop,
			Destination: flow.Endpoint{Kind: flow.Address},
			Protocol:    flow.TCP, Port: 80, Count: 1,
		},
		"an address of the cluster": {
			Source:      shop,
			Destination: flow.Endpoint{Kind: flow.Workload, Name: "x y", Addr: netip.MustParseAddr("10.9.0.1")},
			Protocol:    flow.UDP, Port: 9, Count: 1,
		},
	}
}

// A flow that no rule can express fails the test, in either dialect, until the golden file lists it.
func TestInexpressible_DeniedUntilListed(t *testing.T) {
	for reason, f := range inexpressible() {
		scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
		deniedUntilListed(t, "NetworkPolicy, "+reason, dialectFor(golden.Kubernetes, scope), f)
		deniedUntilListed(t, "CiliumNetworkPolicy, "+reason, dialectFor(golden.Cilium, scope), f)
	}
}

func deniedUntilListed(t *testing.T, reason string, d dialect, f flow.Flow) {
	t.Helper()
	read := func(policies []golden.Policy) *golden.File {
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
	flows := []flow.Flow{f}
	result := report.Report{Test: "TestShop", Golden: "x.yaml"}
	compareFlows(&result, d, read(d.Generate(nil)), flows)
	if !result.Failed() || len(result.Denied) == 0 || len(result.Notices) > 0 {
		t.Errorf("%s: passes, with notices %q", reason, recording.Texts(result.Notices))
	}
	text := result.String()
	if strings.Count(text, f.Target()) == 0 {
		t.Errorf("%s: the text does not name %s:\n%s", reason, f.Target(), text)
	}
	updated := read(d.Merge(read(d.Generate(nil)).Policies, flows))
	denied := stillDenied(d, updated.Policies, flows)
	if f.Destination == (flow.Endpoint{Kind: flow.Address}) { // nothing can allow it
		if len(denied) != 1 {
			t.Errorf("%s: denied: %q", reason, denied)
		}
		return
	}
	result = report.Report{Test: "TestShop", Golden: "x.yaml", Strict: true}
	compareFlows(&result, d, updated, flows)
	result.Unused = d.Unused(updated.Policies, flows)
	if result.Failed() || len(denied) > 0 {
		t.Errorf("%s: fails after an update: denied %q\n%s", reason, denied, result)
	}
	result = report.Report{Test: "TestShop", Golden: "x.yaml", Strict: true}
	result.Unused = d.Unused(updated.Policies, nil)
	if !result.Failed() {
		t.Errorf("%s: an unused entry passes with Strict", reason)
	}
}
