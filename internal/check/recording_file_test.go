package check

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func ordersRecording() recording.Recording {
	checkout := flow.Endpoint{Kind: flow.Workload, Name: "checkout", Namespace: "shop"}
	return recording.Recording{
		Flows: []flow.Flow{{
			Source: checkout, Destination: flow.Endpoint{Kind: flow.Workload, Name: "orders-db"},
			Protocol: flow.TCP, Port: 5432, Count: 2,
		}},
		Workloads: []recording.Workload{{Name: "checkout", Namespace: "shop"}},
		Notices:   []recording.Notice{{Code: recording.CodeForwarder, Text: "one"}},
	}
}

// ordersScene is a recording of workload checkout, which opened a flow to orders-db and lost events.
func ordersScene(t *testing.T) recording.File {
	t.Helper()
	const dir = "/src/shop"
	o := Options{
		Test: t.Name(), Package: Package{Dir: dir, Path: "example.com/shop"},
		Golden:    filepath.Join(dir, "policies", "orders.yaml"),
		Placement: placement.Options{Manifests: manifesttest.Read(t, manifesttest.OrdersDB)},
	}
	return RecordingFile(ordersRecording(), errors.New("2 events were lost"), Result{}, o)
}

func TestRecordingFile_BothSidesOfPlacement(t *testing.T) {
	got := ordersScene(t)
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	end := func(name, namespace string) recording.Endpoint {
		return recording.Endpoint{Kind: recording.KindWorkload, Name: name, Namespace: namespace}
	}
	of := func(namespace string) []recording.Flow {
		return []recording.Flow{{
			Source: end("checkout", "shop"), Destination: end("orders-db", namespace), Protocol: "TCP", Port: 5432, Count: 2,
		}}
	}
	want := recording.File{
		Version: recording.Version, Test: t.Name(), Package: "example.com/shop", Golden: "policies/orders.yaml",
		Recording: ordersRecording(),
		Placed: recording.Placed{
			Workloads: []recording.Workload{
				{Name: "checkout", Namespace: "shop", Labels: app("checkout"), PodLabels: app("checkout")},
			},
			Peers: []recording.Workload{{
				Name: "orders-db", Namespace: "data", Labels: app("db"), PodLabels: app("db"),
				Ports: []recording.NamedPort{{Name: "pg", Number: 5432, Protocol: "TCP"}},
			}},
			Namespaces: map[string]map[string]string{"data": {"team": "storage"}},
			Flows:      of("data"),
			Origins:    []int{0},
		},
		Incomplete: "2 events were lost",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Only a recording that was compared with the golden file shows what a test needs.
func TestRecordingFile_FailedAndPartial(t *testing.T) {
	const at = "shop_test.go:31"
	for _, row := range []struct {
		reason          string
		compared        bool
		incomplete      error
		failed, skipped string
		partial         bool
		want            [2]bool // failed, partial
	}{
		{reason: "passed", compared: true},
		{reason: "failed by its policy only", compared: true, failed: "TestQuote had failed"},
		{reason: "failed by itself", failed: "TestQuote had failed", want: [2]bool{true, true}},
		{reason: "skipped, or panicked", want: [2]bool{false, true}},
		{reason: "flags left out subtests", compared: true, partial: true, want: [2]bool{false, true}},
		{reason: "a subtest may have skipped", compared: true, skipped: at, want: [2]bool{false, true}},
		{reason: "incomplete, which says enough", failed: "TestQuote had failed", incomplete: errors.New("lost")},
	} {
		o := Options{
			Test: t.Name(), Failed: row.failed, Partial: row.partial, Skipped: func() string { return row.skipped },
		}
		var result Result
		if row.compared {
			result.Placed = new(placement.Placement)
		}
		v := RecordingFile(ordersRecording(), row.incomplete, result, o)
		if diff := cmp.Diff(row.want, [2]bool{v.Failed, v.Partial}); diff != "" {
			t.Errorf("%s: failed and partial (-want +got)\n%s", row.reason, diff)
		}
	}
}

func TestRecordingFile_UniqueNames(t *testing.T) {
	seen := make(map[string]string)
	for _, row := range []struct{ golden, test, want string }{
		{"testdata/netzero/TestQuote.yaml", "TestQuote", "example.com_shop.TestQuote.json"},
		{"testdata/netzero/package.yaml", "package", "example.com_shop.package.json"},
		{"testdata/netzero/TestQuote.yaml", "TestOther", ""},
		{"testdata/netzero/TestA/one.yaml", "TestA/one", ""},
		{"testdata/netzero/TestB/one.yaml", "TestB/one", ""},
		{"testdata/netzero/one.yaml", "one", "example.com_shop.one.json"},
		{"policies/shop.yaml", "TestA", ""},
		{"policies/shop.yaml", "TestB", ""},
		{"../shop.yaml", "TestA", ""},
	} {
		name := RecordingFileName(recording.File{Package: "example.com/shop", Golden: row.golden}, "/src/shop", row.test)
		base := strings.TrimSuffix(filepath.Base(row.golden), ".yaml")
		isHashed := strings.HasPrefix(name, "example.com_shop."+base+"-")
		if row.want != "" && name != row.want || row.want == "" && !isHashed {
			t.Errorf("%s of %s: %s, want %s, or a hash in it", row.golden, row.test, name, row.want)
		}
		if other := seen[name]; other != "" {
			t.Errorf("%s of %s has the file of %s", row.golden, row.test, other)
		}
		seen[name] = row.golden + " of " + row.test
	}
}

// A check of a recording that was read from a file has the result of the live one.
func TestRun_RecordingFromFile(t *testing.T) {
	live := checkedRecording()
	path := filepath.Join(t.TempDir(), "a.json")
	if err := RecordingFile(live, nil, Result{}, Options{Golden: path}).Write(path); err != nil {
		t.Fatal(err)
	}
	file, err := recording.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	const kubernetes = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
  - {to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 40000, endPort: 49999}]}
`
	const cilium = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: checkout}
spec:
  endpointSelector: {matchLabels: {'k8s:app': checkout}}
  egress:
  - {toEndpoints: [{matchLabels: {'k8s:app': db}}], toPorts: [{ports: [{port: "5432"}]}]}
  - {toEndpoints: [{matchLabels: {'k8s:app': ftp}}], toPorts: [{ports: [{port: "40000", endPort: 49999}]}]}
`
	flows := []string{"api.quotes.test:443", "pay.go:7", "psql (pid 12)", "is a note"}
	for _, row := range []struct {
		reason, golden   string
		cilium, binaries bool
		want             []string // in the log or the error
	}{
		{"NetworkPolicies", kubernetes, false, false, flows},
		{"programs are enforced", kubernetes, false, true, []string{"psql (pid 12)", "no annotation netzero.dev/binaries"}},
		{"CiliumNetworkPolicies", cilium, true, false, flows},
		{"Cilium, programs are enforced", cilium, true, true, []string{"psql (pid 12)"}},
		{"no golden file", "", false, false, []string{"ftp serves checkout at port 43210/TCP", "ftp-1 (ftp)"}},
	} {
		o := Options{
			Test: "TestQuote", Package: Package{Dir: Dir(t.TempDir()), Path: "example.com/shop"},
			Module: "example.com/shop", Strict: true, Accept: "go test -update",
			Placement: placement.Options{
				Workload: "checkout", Cilium: row.cilium, Rules: policy.Scope{Binaries: row.binaries},
			},
		}
		o.Golden = filepath.Join(string(o.Package.Dir), "golden.yaml")
		if row.golden != "" {
			if err := os.WriteFile(o.Golden, []byte(row.golden), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o.File = ownFile(t, o.Golden, o.Test)
		want, wantErr := Run(live, o)
		o.File = ownFile(t, o.Golden, o.Test)
		got, err := Run(file.Recording, o)
		var text strings.Builder
		for _, m := range want.Messages {
			text.WriteString(m.Text)
		}
		fmt.Fprint(&text, wantErr)
		for _, part := range row.want {
			if !strings.Contains(text.String(), part) {
				t.Errorf("%s: the live recording has no %q:\n%s", row.reason, part, &text)
			}
		}
		if diff := cmp.Diff(want.Messages, got.Messages); diff != "" {
			t.Errorf("%s: (-live +file)\n%s", row.reason, diff)
		}
		if diff := cmp.Diff(want.Announced, got.Announced); diff != "" {
			t.Errorf("%s: announced (-live +file)\n%s", row.reason, diff)
		}
		if diff := cmp.Diff(fmt.Sprint(wantErr), fmt.Sprint(err)); diff != "" {
			t.Errorf("%s: error (-live +file)\n%s", row.reason, diff)
		}
		fileHasVerdicts(t, row.reason, RecordingFile(live, nil, want, o), want.Report.Denied)
	}
}

// fileHasVerdicts fails the test unless a file has the verdicts of the check: the reported flows, and only those, are
// denied.
func fileHasVerdicts(t *testing.T, reason string, v recording.File, reported []report.Denied) {
	t.Helper()
	if err := v.Validate(); err != nil {
		t.Errorf("%s: %v", reason, err)
	}
	if v.Check == nil { // no golden file
		if len(reported) > 0 {
			t.Errorf("%s: no verdicts", reason)
		}
		return
	}
	flows, err := recording.ToFlows(slices.Concat(v.Placed.Flows, v.Check.Implied))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, d := range reported {
		want = append(want, d.Flow.Target()+": "+d.Reason)
	}
	for i, verdict := range v.Check.Verdicts {
		if verdict.Outcome == recording.OutcomeDenied || verdict.Outcome == recording.OutcomeInexpressible {
			got = append(got, flows[i].Target()+": "+verdict.Reason)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("%s: denied (-reported +file)\n%s", reason, diff)
	}
}

// checkedRecording has what a check reads: flows with processes and stacks, notices, initiators, an ephemeral port.
func checkedRecording() recording.Recording {
	checkout := flow.WorkloadEndpoint("checkout")
	psql := flow.Process{
		PID: 12, Name: "psql", Command: "psql -W hunter2", Executable: "/usr/bin/psql", Parents: []string{"sh (pid 11)"},
		Container: "checkout-1", Image: "checkout",
	}
	pay := flow.Process{PID: 4, Name: "checkout.test", Stack: []flow.Frame{
		{Function: "net.Dial", File: "/go/net/dial.go", Line: 3},
		{Function: "example.com/shop.Pay", File: "/src/pay.go", Line: 7},
	}}
	ftp := flow.Flow{
		Source: checkout, Destination: flow.WorkloadEndpoint("ftp"), Protocol: flow.TCP, Port: 43210, Count: 1,
		First: time.Millisecond, Process: pay,
	}
	quotes := flow.ExternalHost("api.quotes.test")
	quotes.Addr, quotes.Evidence = netip.MustParseAddr("203.0.113.7"), flow.ByTLS
	return recording.Recording{
		Flows: []flow.Flow{
			{
				Source: checkout, Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: 5432, Count: 2,
				Dialled: 49153, Named: "container db-1 (image postgres)", First: 2 * time.Second, Process: psql,
				Binaries: []string{"psql"},
			},
			ftp,
			{Source: checkout, Destination: quotes, Protocol: flow.TCP, Port: 443, Count: 3, First: 1500, Process: pay},
			{Source: checkout, Destination: quotes, Protocol: flow.TCP, Port: 5432, First: 15, Process: psql, Before: true},
		},
		Workloads: []recording.Workload{{Name: "checkout"}},
		Notices: []recording.Notice{
			{Code: recording.CodeNoListener, Text: "no listener at port 1"},
			{Code: recording.CodeForwarder, Text: "this is a note"},
		},
		Initiators: map[recording.Program]recording.Initiator{
			{Workload: checkout, Binary: "psql"}: {Process: psql, First: 2 * time.Second},
		},
		EphemeralPorts: []recording.EphemeralPort{{Flow: ftp, Container: "ftp-1 (ftp)"}},
	}
}
