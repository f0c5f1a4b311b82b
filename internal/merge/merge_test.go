package merge

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var db = flow.WorkloadEndpoint("db")

func to(source string, destination flow.Endpoint, port uint16) flow.Flow {
	return flow.Flow{
		Source: flow.WorkloadEndpoint(source), Destination: destination, Protocol: flow.TCP, Port: port, Count: 1, First: 1,
		Process: flow.Process{PID: 7, Name: source},
	}
}

func host(name string) flow.Endpoint {
	return flow.Endpoint{
		Kind: flow.External, Name: name, Addr: netip.MustParseAddr("203.0.113.7"), Evidence: flow.ByDNS,
	}
}

// recorded runs the check of a test that updates its golden file, and returns the recording's file and the policies of
// the golden file.
func recorded(t *testing.T, test string, r recording.Recording, o placement.Options) (recording.File, string) {
	t.Helper()
	dir := t.TempDir()
	options := check.Options{
		Test: test, Package: check.Package{Dir: check.Dir(dir), Path: "example.com/shop"}, Placement: o,
		Golden: filepath.Join(dir, "golden.yaml"), Header: golden.Header{Test: test}, Update: true,
	}
	var err error
	if options.File, _, err = new(check.Register).Begin(options.Golden, check.Member{Test: test}); err != nil {
		t.Fatal(err)
	}
	result, err := check.Run(r, options)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "recording.json")
	if err := check.RecordingFile(r, nil, result, options).Write(path); err != nil {
		t.Fatal(err)
	}
	file, err := recording.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(options.Golden)
	if err != nil {
		t.Fatal(err)
	}
	return file, withoutHeader(string(text))
}

func withoutHeader(text string) string {
	lines := slices.Collect(strings.Lines(text))
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "#") }), "")
}

// text returns the policies of recordings, without a header.
func text(t *testing.T, sources []Source, o Options) string {
	t.Helper()
	u, err := Unite(sources, o)
	if err != nil {
		t.Fatal(err)
	}
	policies, err := u.Format("")
	if err != nil {
		t.Fatal(err)
	}
	return withoutHeader(string(policies))
}

// brokers has workloads whose Service selects more pods than they have, so that rules for them as a source, rules for
// them as a destination and their own policies have different selectors.
func brokers() recording.Recording {
	workload := flow.WorkloadEndpoint
	return recording.Recording{
		Flows: []flow.Flow{
			to("shop", workload("kafka"), 30092), to("kafka", workload("store"), 5432),
			to("kafka-exporter", workload("kafka"), 9092), to("shop", workload("web"), 8080), to("web", workload("store"), 5432),
			to("shop", host("shard-7.db.example"), 5432), to("shop", workload("kubernetes"), 443),
		},
		Workloads: []recording.Workload{
			{Name: "shop"}, {Name: "kafka-exporter", AllTraffic: true}, {Name: "web", AllTraffic: true},
		},
	}
}

func TestUnite_SamePoliciesAsUpdate(t *testing.T) {
	ping := flow.Flow{
		Source: flow.WorkloadEndpoint("shop"), Destination: host("vpn.example"), Protocol: flow.ICMP, ICMPType: 8,
	}
	lookup := flow.Flow{
		Source: flow.WorkloadEndpoint("shop"), Destination: flow.ExternalHost("telemetry.example"), Lookup: true,
	}
	dns := policy.Resolver{Addresses: netip.MustParsePrefix("169.254.20.10/32"), Ports: []uint16{5353}}
	ignored, err := endpoint.ParseIgnore("*.vendor.example:443")
	if err != nil {
		t.Fatal(err)
	}
	everything := brokers()
	ftp := to("shop", flow.WorkloadEndpoint("ftp"), 40001)
	ftp.Binaries = []string{"curl"}
	everything.Flows = append(everything.Flows, ping, lookup, ftp, to("shop", host("a.vendor.example"), 443),
		to("shop", flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.9")}, 25))
	everything.EphemeralPorts = []recording.EphemeralPort{{Flow: ftp, Container: "ftp-1 (ftp)"}}
	all := placement.Options{
		Ignored: endpoint.Ignored{Destinations: []endpoint.Ignore{ignored}}, ClusterDomains: []string{"k8s.example"},
		Rules: policy.Scope{
			Fold: []string{"shard-*.db.example"}, Binaries: true, CloseIngress: true, DenyAll: true,
			Resolvers: []policy.Resolver{policy.DefaultResolver, dns},
			Ranges: []policy.PortRange{
				{Name: "media", First: 10000, Last: 10010, Protocol: flow.UDP},
				{Name: "ftp", First: 40000, Last: 40009, Protocol: flow.TCP},
			},
		},
	}
	driver := recording.Recording{
		Flows: []flow.Flow{{Source: flow.Endpoint{Kind: flow.Anyone}, Destination: flow.WorkloadEndpoint("web"),
			Protocol: flow.TCP, Port: 8080, Count: 1}, to("web", flow.WorkloadEndpoint("store"), 5432)},
		Workloads: []recording.Workload{{Name: "web", AllTraffic: true}},
	}
	labelled := recording.Recording{
		Flows:     []flow.Flow{to("shop", db, 5432)},
		Workloads: []recording.Workload{{Name: "shop", Labels: map[string]string{"tier": "front", "x": "y"}}},
	}
	for _, row := range []struct {
		reason    string
		recorded  recording.Recording
		options   placement.Options
		manifests string
	}{
		{"no flows", recording.Recording{Workloads: []recording.Workload{{Name: "shop"}}}, placement.Options{}, ""},
		{"labels of the test", labelled, placement.Options{}, ""},
		{"no manifests", brokers(), placement.Options{}, ""},
		{"Services that select more pods", brokers(), placement.Options{}, manifesttest.Brokers},
		{"every option", everything, all, ""},
		{"every option, with manifests", everything, all, manifesttest.Brokers},
		{"namespaces", recording.Recording{
			Flows: []flow.Flow{{
				Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout", Namespace: "web"},
				Destination: flow.WorkloadEndpoint("redis"), Protocol: flow.TCP, Port: 6379, Count: 1,
			}},
			Workloads: []recording.Workload{{Name: "checkout", Namespace: "web"}},
		}, placement.Options{}, manifesttest.Shop},
		{"a driver", driver, placement.Options{Ignored: endpoint.Ignored{Driver: true}}, manifesttest.Brokers},
	} {
		for _, cilium := range []bool{false, true} {
			o := row.options
			o.Cilium, o.Manifests = cilium, manifesttest.Read(t, row.manifests)
			file, want := recorded(t, "TestShop", row.recorded, o)
			source := []Source{{"a.json", file}}
			if diff := cmp.Diff(want, text(t, source, Options{})); diff != "" {
				t.Errorf("%s, Cilium %v: (-golden file +policies)\n%s", row.reason, cilium, diff)
			}
			if diff := cmp.Diff(want, text(t, source, Options{Manifests: o.Manifests})); diff != "" {
				t.Errorf("%s, Cilium %v, with -manifests: (-golden file +policies)\n%s", row.reason, cilium, diff)
			}
		}
	}
}

// A comparison of recordings denies what the tests deny, with the same reasons and processes.
func TestUnite_SameVerdictsAsTests(t *testing.T) {
	r := brokers()
	for _, cilium := range []bool{false, true} {
		o := placement.Options{Cilium: cilium, Manifests: manifesttest.Read(t, manifesttest.Brokers)}
		less := r
		less.Flows = append(slices.Clone(r.Flows[3:]), to("shop", db, 1))
		_, committed := recorded(t, "TestShop", less, o)
		options := check.Options{
			Test: "TestShop", Golden: filepath.Join(t.TempDir(), "golden.yaml"), Placement: o,
			Package: check.Package{Path: "example.com/shop"},
		}
		if err := os.WriteFile(options.Golden, []byte(committed), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		options.File, _, err = new(check.Register).Begin(options.Golden, check.Member{Test: "TestShop"})
		if err != nil {
			t.Fatal(err)
		}
		live, err := check.Run(r, options)
		if err != nil {
			t.Fatal(err)
		}
		u, err := Unite([]Source{{"a.json", check.RecordingFile(r, nil, live, options)}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		file, err := golden.Read(options.Golden)
		if err != nil {
			t.Fatal(err)
		}
		got := u.Compare(file)
		if len(live.Report.Denied) < 3 || len(live.Report.Unused) == 0 {
			t.Fatalf("the test denies %v and does not use %v", live.Report.Denied, live.Report.Unused)
		}
		addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(live.Report.Denied, got.Report.Denied, addrs); diff != "" {
			t.Errorf("Cilium %v: denied (-test +union)\n%s", cilium, diff)
		}
		if diff := cmp.Diff(live.Report.Unused, got.Report.Unused); diff != "" {
			t.Errorf("Cilium %v: unused (-test +union)\n%s", cilium, diff)
		}
		denied := 0
		for _, f := range got.Flows {
			if f.Outcome == policy.Denied {
				denied++
			}
		}
		if denied != len(got.Report.Denied) {
			t.Errorf("Cilium %v: %d flows have the verdict, %d are reported", cilium, denied, len(got.Report.Denied))
		}
	}
}

// Rules by hand may use what only manifests tell: named ports, and labels of namespaces. An update keeps them.
func TestUnite_RulesByHandNeedNoManifests(t *testing.T) {
	const byHand = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout, namespace: shop}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}, namespaceSelector: {matchLabels: {team: storage}}}]
    ports: [{port: pg}]
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
    ports: [{port: 53}, {port: 53, protocol: UDP}]
`
	f := to("checkout", flow.WorkloadEndpoint("orders-db"), 5432)
	f.Source.Namespace = "shop"
	r := recording.Recording{
		Flows: []flow.Flow{f}, Workloads: []recording.Workload{{Name: "checkout", Namespace: "shop"}},
	}
	v, _ := recorded(t, "TestOrders", r, placement.Options{Manifests: manifesttest.Read(t, manifesttest.OrdersDB)})
	u, err := Unite([]Source{{"a.json", v}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "golden.yaml")
	if err := os.WriteFile(path, []byte(byHand), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Update(path, ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byHand, withoutHeader(string(text))); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
}

// shop is a recording of workload shop with flows to the ports of db.
func shop(t *testing.T, test string, ports ...uint16) Source {
	t.Helper()
	r := recording.Recording{Workloads: []recording.Workload{{Name: "shop"}}}
	for _, port := range ports {
		r.Flows = append(r.Flows, to("shop", db, port))
	}
	file, _ := recorded(t, test, r, placement.Options{})
	return Source{test + ".json", file}
}

func TestUnite_ShardsAndPackagesAddUp(t *testing.T) {
	a, again, b := shop(t, "TestA", 1, 2), shop(t, "TestA", 2, 3), shop(t, "TestB", 4)
	again.Path, again.File.Partial = "shard.json", true
	b.File.Package, b.File.Partial = "example.com/other", true
	whole := shop(t, "TestA", 1, 2, 3, 4)
	want := text(t, []Source{whole}, Options{})
	for _, order := range [][]Source{{a, again, b}, {b, again, a}} {
		u, err := Unite(order, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, text(t, order, Options{})); diff != "" {
			t.Errorf("(-one recording +three)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"example.com/other.TestB", "example.com/shop.TestA"}, u.Tests); diff != "" {
			t.Errorf("tests (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"example.com/other.TestB"}, u.Partial); diff != "" {
			t.Errorf("partial tests (-want +got)\n%s", diff)
		}
		var counts []uint64
		for _, f := range u.Placed.Flows {
			counts = append(counts, f.Count)
		}
		if diff := cmp.Diff([]uint64{1, 2, 1, 1}, counts); diff != "" {
			t.Errorf("counts (-want +got)\n%s", diff)
		}
	}
}

func TestUnite_ContradictionsNameBothFiles(t *testing.T) {
	of := func(w recording.Workload, o placement.Options) recording.File {
		f := to(w.Name, db, 5432)
		f.Source.Namespace = w.Namespace
		file, _ := recorded(t, "TestShop", recording.Recording{Flows: []flow.Flow{f}, Workloads: []recording.Workload{w}}, o)
		return file
	}
	labelled := recording.Workload{Name: "shop", Labels: map[string]string{"tier": "front"}}
	plain := of(recording.Workload{Name: "shop"}, placement.Options{})
	incomplete, failed, withDB := plain, plain, plain
	incomplete.Incomplete, failed.Failed = "2 events were lost", true
	withDB.Placed.Peers = []recording.Workload{{Name: "db", Labels: map[string]string{"app": "db"}}}
	otherDB := plain
	otherDB.Placed.Peers = []recording.Workload{{Name: "db", Labels: map[string]string{"app": "pg"}}}
	for _, row := range []struct {
		reason string
		a, b   recording.File
		want   []string
	}{
		{"labels", plain, of(labelled, placement.Options{}),
			[]string{"workload shop has the labels app=shop and tier=front"}},
		{"labels of a peer", withDB, otherDB, []string{"workload db has the labels app=db and app=pg"}},
		{"namespaces", plain, of(recording.Workload{Name: "shop", Namespace: "web"}, placement.Options{}),
			[]string{"workload shop is in", "web"}},
		{"dialects", plain, of(recording.Workload{Name: "shop"}, placement.Options{Cilium: true}),
			[]string{"option Cilium", "-cilium=false"}},
		{"an incomplete recording", incomplete, incomplete,
			[]string{"2 events were lost", "run example.com/shop.TestShop again"}},
		{"a failed test", failed, failed, []string{"in which example.com/shop.TestShop failed"}},
	} {
		_, err := Unite([]Source{{"a.json", row.a}, {"b.json", row.b}}, Options{})
		for _, part := range append(row.want, "a.json", "b.json") {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want %q", row.reason, err, part)
			}
		}
	}
	if _, err := Unite(nil, Options{}); err == nil {
		t.Error("no recordings: no error")
	}
	// A chosen namespace, dialect or set of manifests resolves what differs.
	web := of(recording.Workload{Name: "shop", Namespace: "web"}, placement.Options{Cilium: true})
	_, err := Unite([]Source{{"a.json", plain}, {"b.json", web}}, Options{Namespace: "web", Dialect: golden.Cilium})
	if err != nil {
		t.Error(err)
	}
}

// Options that are added count as if the test had them.
func TestUnite_AddedOptions(t *testing.T) {
	r := recording.Recording{
		Flows: []flow.Flow{
			to("shop", host("shard-7.db.example"), 5432), to("shop", host("a.vendor.example"), 443),
			to("shop", flow.WorkloadEndpoint("ftp"), 40001), to("web", db, 5432),
		},
		Workloads: []recording.Workload{{Name: "shop"}, {Name: "web", AllTraffic: true}},
	}
	file, _ := recorded(t, "TestShop", r, placement.Options{})
	ignored, err := endpoint.ParseIgnore("*.vendor.example")
	if err != nil {
		t.Fatal(err)
	}
	_, want := recorded(t, "TestShop", r, placement.Options{
		Ignored: endpoint.Ignored{Destinations: []endpoint.Ignore{ignored}},
		Rules: policy.Scope{
			Fold: []string{"shard-*.db.example"}, CloseIngress: true, DenyAll: true, Binaries: true,
			Ranges: []policy.PortRange{{Name: "ftp", First: 40000, Last: 40009, Protocol: flow.TCP}},
		},
	})
	for _, manifests := range []string{"", manifesttest.OrdersDB} {
		got := text(t, []Source{{"a.json", file}}, Options{
			Manifests: manifesttest.Read(t, manifests),
			Added: recording.Options{
				FoldNames: []string{"shard-*.db.example"}, Ports: []string{"ftp:40000-40009"},
				Ignore: []string{"*.vendor.example"}, CloseIngress: true, DefaultDeny: true, Binaries: true,
			},
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-options of the test +added)\n%s", diff)
		}
	}
	_, err = Unite([]Source{{"a.json", file}}, Options{Added: recording.Options{Ports: []string{"ftp"}}})
	if err == nil || !strings.Contains(err.Error(), `a.json: ports "ftp"`) {
		t.Errorf("wrong ports: %v", err)
	}
}

// A namespace holds for every workload with a policy that has none.
func TestUnite_Namespace(t *testing.T) {
	r := recording.Recording{
		Flows:     []flow.Flow{to("shop", flow.WorkloadEndpoint("web"), 8080), to("web", db, 5432)},
		Workloads: []recording.Workload{{Name: "shop"}, {Name: "web", AllTraffic: true}},
	}
	file, _ := recorded(t, "TestShop", r, placement.Options{})
	u, err := Unite([]Source{{"a.json", file}}, Options{Namespace: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	policies, err := u.Format("")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(policies), "\n  namespace: prod\n"); n != 2 {
		t.Errorf("%d policies are in the namespace, want 2:\n%s", n, policies)
	}
	if strings.Contains(string(policies), "kubernetes.io/metadata.name: prod") {
		t.Errorf("rules within the namespace select it:\n%s", policies)
	}
}

// The flows of a test without the option Requests keep a union's policies from listing requests, those of tests with it
// add up.
func TestUnite_Requests(t *testing.T) {
	billing := flow.WorkloadEndpoint("billing")
	sends := func(method, path string) recording.Recording {
		f := to("checkout", billing, 8080)
		if method != "" {
			f.Requests = []flow.Request{{Protocol: flow.HTTP, Method: method, Path: path}}
		}
		return recording.Recording{Flows: []flow.Flow{f}, Workloads: []recording.Workload{{Name: "checkout"}}}
	}
	with := placement.Options{Workload: "checkout", Rules: policy.Scope{Requests: true}}
	a, _ := recorded(t, "TestA", sends("POST", "/charge"), with)
	b, _ := recorded(t, "TestB", sends("GET", "/customers/ann"), with)
	c, _ := recorded(t, "TestC", sends("", ""), placement.Options{Workload: "checkout"})
	for _, row := range []struct {
		reason  string
		sources []Source
		added   recording.Options
		want    string
	}{
		{"two tests", []Source{{"a", a}, {"b", b}}, recording.Options{},
			"    netzero.dev/requests: |-\n      billing:8080 GET /customers/ann,\n      billing:8080 POST /charge\n"},
		{"folded paths", []Source{{"a", a}, {"b", b}}, recording.Options{FoldPaths: []string{"/customers/{name}"}},
			"    netzero.dev/requests: |-\n      billing:8080 GET /customers/{name},\n      billing:8080 POST /charge\n"},
		{"one without the option", []Source{{"a", a}, {"c", c}}, recording.Options{}, ""},
	} {
		got := text(t, row.sources, Options{Added: row.added})
		if row.want == "" && strings.Contains(got, "netzero.dev/requests") || !strings.Contains(got, row.want) {
			t.Errorf("%s: want %q in\n%s", row.reason, row.want, got)
		}
	}
}
