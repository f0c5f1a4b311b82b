package check

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// comparedWith compares a golden file with a recording without flows.
func comparedWith(t *testing.T, text string, cilium bool, scope policy.Scope) report.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := golden.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Test: "TestShop", Golden: path, File: ownFile(t, path, "TestShop"), Placement: placement.Options{Cilium: cilium},
	}
	c := &checker{options: o}
	c.Report = report.Report{Test: "TestShop", Golden: "x.yaml"}
	d := dialectFor(o.dialect(), scope)
	compareFlows(&c.Report, d, file, nil)
	noticeForeign(c, d, file)
	if err := o.File.end(o, part{scope: scope}, true); err != nil {
		t.Fatal(err)
	}
	c.Report.Unused = o.File.unused(file, nil)
	return c.Report
}

// ownFile returns the golden file of a test, which has begun.
func ownFile(t *testing.T, path, test string) *GoldenFile {
	t.Helper()
	file, _, err := new(Register).Begin(path, Member{Test: test})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A golden file that could never fail its test is an error, even if nothing was recorded.
func TestCompare_FilesThatCouldNeverFail(t *testing.T) {
	const (
		kind   = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		other  = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"
		denies = kind + "metadata: {name: shop}\nspec: {podSelector: {matchLabels: {app: shop}}, policyTypes: [Egress]}\n"
		too    = other + "metadata: {name: shop}\nspec: {endpointSelector: {matchLabels: {app: shop}}, egress: [{}]}\n"
		none   = "no policy isolates shop for egress: there is none"
	)
	replaced := func(text string, oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(text) }
	for _, c := range []struct {
		reason string
		text   string
		cilium bool
		want   string // "" if the test passes
	}{
		{"it isolates", denies, false, ""},
		{"it isolates", too, true, ""},
		{"empty", "", false, none},
		{"empty", "", true, none},
		{"comments only", "# later\n---\n# much later\n", false, none},
		{"comments only", "# later\n", true, none},
		{
			"other labels", replaced(denies, "app: shop", "app: web"), false,
			"policy shop selects app=web, the pods have app=shop",
		},
		{
			"other labels", replaced(too, "app: shop", "app: web"), true,
			"policy shop selects pods app=web, the pods have app=shop",
		},
		{
			"more labels",
			replaced(denies, "app: shop", "app: shop, tier: a"),
			false,
			"policy shop selects app=shop,tier=a, the pods have app=shop",
		},
		{
			"an expression that is never true",
			replaced(denies, "matchLabels: {app: shop}", "matchExpressions: [{key: app, operator: NotIn, values: [shop]}]"),
			false,
			"policy shop selects app notin (shop), the pods have app=shop",
		},
		{"for ingress only", replaced(denies, "[Egress]", "[Ingress]"), false, "policy shop is not of the type Egress"},
		{
			"for ingress only, by default",
			replaced(denies, ", policyTypes: [Egress]", ""),
			false, "policy shop is not of the type Egress",
		},
		{"for ingress only", replaced(too, "egress:", "ingress:"), true, "policy shop has no egress rules"},
		{"no labels select every pod", replaced(denies, "{matchLabels: {app: shop}}", "{}"), false, ""},
		{"no labels select every pod", replaced(too, "{matchLabels: {app: shop}}", "{}"), true, ""},
		{
			"egress rules are of the type Egress by default",
			replaced(denies, ", policyTypes: [Egress]", ", egress: [{ports: [{port: 1}]}]"),
			false, "",
		},
		{"beside an unrelated policy", denies + "---\n" + replaced(denies, "shop", "audit"), false, ""},
		{
			"only an unrelated policy", replaced(denies, "shop", "audit"), false,
			"policy audit selects app=audit, the pods have app=shop",
		},
		{
			"only an unrelated policy", replaced(too, "shop", "audit"), true,
			"policy audit selects pods app=audit, the pods have app=shop",
		},
	} {
		result := comparedWith(t, c.text, c.cilium, policy.Scope{
			Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}},
		})
		got := strings.Join(result.Unprotected, "; ")
		if result.Failed() != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s (Cilium: %v): %q, want %q", c.reason, c.cilium, got, c.want)
		}
	}
	two := policy.Scope{
		Subjects: []policy.Subject{
			{Workload: policy.Workload{Name: "shop"}},
			{Workload: policy.Workload{Name: "db"}, AllTraffic: true},
		},
	}
	for _, c := range []struct {
		text   string
		cilium bool
	}{{denies, false}, {too, true}} {
		if result := comparedWith(t, c.text, c.cilium, two); !result.Failed() || !result.Protected ||
			!strings.Contains(result.Unprotected[0], "isolates db for egress") {
			t.Errorf("one of two workloads (Cilium: %v): %q", c.cilium, result.Unprotected)
		}
	}
}

// An update cannot accept a flow that a deny rule matches, and says so.
func TestUpdate_KeepsRulesThatDeny(t *testing.T) {
	const policyText = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: shop}\nspec:\n" +
		"  endpointSelector: {matchLabels: {app: shop}}\n" +
		"  egress: [{toCIDR: [198.51.100.0/24]}]\n  egressDeny: [{toCIDR: [203.0.113.9/32]}]\n"
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(policyText), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := golden.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	d := dialectFor(golden.Cilium, policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}})
	to := func(addr string) flow.Flow {
		return flow.Flow{
			Source:      flow.Endpoint{Kind: flow.Workload, Name: "shop"},
			Destination: flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)},
			Protocol:    flow.TCP, Port: 443,
		}
	}
	for _, c := range []struct {
		reason string
		flows  []flow.Flow
		denied int
		accept string
	}{
		{"what it denies", []flow.Flow{to("203.0.113.9")}, 1, ""},
		{"what it denies, and what is new", []flow.Flow{to("203.0.113.9"), to("203.0.113.8")}, 1, "go test -update"},
		{"what is new", []flow.Flow{to("203.0.113.8")}, 0, "go test -update"},
		{"what is allowed", []flow.Flow{to("198.51.100.1")}, 0, "go test -update"},
	} {
		result := report.Report{Test: "TestShop", Golden: "x.yaml", Accept: "go test -update"}
		compareFlows(&result, d, file, c.flows)
		noticeDenied(&result, d, file.Policies, c.flows)
		if result.Accept != c.accept || (len(result.Notices) > 0) != (c.denied > 0) {
			t.Errorf("%s: to accept: %q, %q", c.reason, result.Accept, recording.Texts(result.Notices))
		}
		lines := stillDenied(d, d.Merge(file.Policies, c.flows), c.flows)
		if len(lines) != c.denied || c.denied > 0 &&
			lines[0] != "203.0.113.9:443/TCP: policy shop: egressDeny rule 0 (203.0.113.9/32) denies it, "+
				"whatever other rules allow" {
			t.Errorf("%s: after an update %q", c.reason, lines)
		}
	}
}
