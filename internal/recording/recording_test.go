package recording

import (
	"bytes"
	"compress/gzip"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// everyFlow has every kind of endpoint, every kind of evidence and every protocol. Its first flow has every field that
// a file keeps.
func everyFlow() []flow.Flow {
	checkout := flow.Endpoint{
		Kind: flow.Workload, Name: "checkout", Namespace: "web", Addr: netip.MustParseAddr("2001:db8::1"),
		Evidence: flow.ByOption, Node: true, HostNetwork: true,
	}
	flows := []flow.Flow{{
		Source: checkout, Destination: checkout, Protocol: flow.ICMP, Port: 5432, ICMPType: 8, Dialled: 49153, Count: 1 << 60,
		Refused: 1<<60 - 1, Lookup: true, Before: true, Binaries: []string{"curl", "my%20tool"},
		Named: "Peer at shop_test.go:31", First: 90*time.Minute + 1,
		Process: flow.Process{
			PID: 12, Name: "checkout.test", Command: "checkout.test -v", Executable: "/tmp/checkout.test",
			Parents: []string{"sh (pid 11)"}, Container: "checkout-1", Image: "checkout", Exec: "sh -c run", Test: "TestQuote",
			Stack: []flow.Frame{{Function: "net.Dial", File: "net/dial.go", Line: 3, Started: true, Ended: true}},
		},
		Requests: []flow.Request{{
			Protocol: flow.HTTP, Method: "POST", Host: "billing:8080", Path: "/<charge>", Query: "?a=1&b", Topic: "orders",
		}},
		Opaque: "TLS",
	}}
	for protocol := flow.HTTP; protocol <= flow.Kafka; protocol++ {
		flows = append(flows, flow.Flow{
			Source: checkout, Destination: checkout, Protocol: flow.TCP, Requests: []flow.Request{{Protocol: protocol}},
		})
	}
	for kind := flow.Workload; kind <= flow.Anyone; kind++ {
		flows = append(flows, flow.Flow{Source: flow.Endpoint{Kind: kind}, Destination: flow.Endpoint{Kind: kind}})
	}
	for evidence := flow.NoEvidence; evidence <= flow.ByEnvironment; evidence++ {
		e := flow.Endpoint{Kind: flow.External, Name: "api.example.com", Evidence: evidence}
		flows = append(flows, flow.Flow{Source: checkout, Destination: e})
	}
	for protocol := range 256 {
		flows = append(flows, flow.Flow{Source: checkout, Destination: checkout, Protocol: flow.Protocol(protocol)})
	}
	return flows
}

func whole() File {
	flows := everyFlow()
	checkout := Workload{
		Name: "checkout", Namespace: "web", Labels: map[string]string{"b": "1", "a": "2"},
		PodLabels: map[string]string{"a": "2", "b": "1", "c": "<3>"}, HostNetwork: true, AllTraffic: true,
		Service: ServicePods{Labels: map[string]string{"a": "2"}, PodLabels: map[string]string{"a": "2", "d": "4"}},
		Ports:   []NamedPort{{"pg", 5432, "TCP"}},
	}
	initiators := make(map[Program]Initiator)
	for _, binary := range []string{"curl", "psql", "sh"} {
		initiators[Program{flows[0].Source, binary}] = Initiator{flows[0].Process, time.Second}
	}
	return File{
		Version: Version, Test: "TestQuote/<a>", Package: "example.com/shop", Golden: "testdata/netzero/TestQuote/a.yaml",
		Recording: Recording{
			Flows: flows, Workloads: []Workload{checkout}, Notices: []Notice{{CodeInfrastructure, "one"}},
			Initiators: initiators, EphemeralPorts: []EphemeralPort{{flows[0], "ftp-1 (ftp)", true}},
			Losses: []Loss{{"new flows (ring buffer full)", 2, "raise NETZERO_RING_BYTES"}},
		},
		Placed: Placed{
			Workloads: []Workload{checkout}, Peers: []Workload{{Name: "db"}}, Flows: FromFlows(flows[:1]),
			Origins: []int{0},
			Notices: []Notice{{CodeLinkLocal, "<two>"}}, Namespaces: map[string]map[string]string{"web": {"team": "shop"}},
			EphemeralPorts: FromEphemeralPorts([]EphemeralPort{{flows[0], "ftp-1 (ftp)", true}}),
		},
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Enforced: true,
		Check: &Check{
			Dialect: "NetworkPolicy", Implied: FromFlows(flows[1:2]), Unused: []string{"a rule"}, NotIsolated: []string{"db"},
			Verdicts: []Verdict{
				{
					OutcomeDenied, "checkout", "no rule", true, true,
					[]Verdict{{Outcome: OutcomeDenied, Reason: "GET / is not in a list"}},
				},
				{Outcome: OutcomeAllowed, Policy: "checkout", Reason: "rule 1"},
			},
			Updated: true,
		},
		Incomplete: "2 new flows were lost", Failed: true, Partial: true,
		Unusable: "line 7: not YAML",
		Options: Options{
			Cilium: true, FoldNames: []string{"shard-*.db.example"}, Ports: []string{"ftp:30000-30009/TCP"}, Binaries: true,
			Requests: true, FoldPaths: []string{"/customers/{name}"},
			CloseIngress: true, DefaultDeny: true, ClusterDomains: []string{"k8s.example"}, Ignore: []string{"10.0.0.0/8"},
			Driver: true, Resolvers: []Resolver{{
				Namespace: "kube-system", Labels: map[string]string{"k8s-app": "dns"}, Addresses: "169.254.20.10/32",
				Ports: []uint16{5353},
			}},
		},
	}
}

func TestFileIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	want := whole()
	for range 2 { // the second time over the other file
		if err := want.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v (%v), want one file", left, err)
	}
}

// A field that is added to the types is added to whole, or the test above does not cover it.
func TestExampleHasEveryField(t *testing.T) {
	r := whole()
	checkout, placed, process := r.Placed.Workloads[0], r.Placed.Flows[0], r.Placed.Flows[0].Process
	for _, value := range []any{
		r, r.Recording, r.Placed, checkout, checkout.Service, checkout.Ports[0], placed, placed.Source, process,
		process.Stack[0], r.Placed.EphemeralPorts[0], r.Recording.Notices[0], r.Recording.EphemeralPorts[0],
		r.Recording.Losses[0], *r.Check, r.Check.Verdicts[0], r.Placed.Flows[0].Requests[0], r.Options, r.Options.Resolvers[0],
	} {
		for i, v := 0, reflect.ValueOf(value); i < v.NumField(); i++ {
			if v.Field(i).IsZero() {
				t.Errorf("%s.%s is zero", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
}

func TestFlowsSurviveTheConversion(t *testing.T) {
	want := everyFlow()
	got, err := ToFlows(FromFlows(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSameRecordingSameBytes(t *testing.T) {
	dir := t.TempDir()
	var texts []string
	for _, name := range []string{"a", "b"} {
		if err := whole().Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if diff := cmp.Diff(texts[0], texts[1]); diff != "" || strings.Contains(texts[0], "\r") {
		t.Errorf("two files differ, or have CR:\n%s", diff)
	}
}

// endless is a device that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestDecode_EndlessInput(t *testing.T) {
	var in endless
	if _, err := Decode(&in); err == nil || !strings.Contains(err.Error(), "it is no recording") || in.read > 1<<16 {
		t.Errorf("error %v after %d bytes", err, in.read)
	}
}

func TestDecode_Compressed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := whole().Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(text)
	w.Close()
	got, err := Decode(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole(), got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	const flowOf = `{"source": {"kind": "anyone"}, "destination": %D, "protocol": %P}`
	of := func(destination, protocol string) string {
		f := strings.NewReplacer("%D", destination, "%P", protocol).Replace(flowOf)
		return `{"version": 4, "placed": {"flows": [` + f + `]}}`
	}
	check := func(verdicts string) string {
		flows := strings.TrimSuffix(of(`{"kind": "anyone"}`, `"TCP"`), "}")
		return flows + `, "check": {"dialect": "NetworkPolicy", "verdicts": [` + verdicts + `]}}`
	}
	recorded := func(field string) string { return `{"version": 4, "recording": {` + field + `}}` }
	for _, row := range []struct{ reason, text, want string }{
		{"no JSON", "version: 1", "it is no recording: it does not begin with {"},
		{"a list", `[{"version": 4}]`, "it is no recording: it does not begin with {"},
		{"JSON with a mistake", `{"version": 4,}`, "invalid character"},
		{"empty", " \n", "it is empty"},
		{"cut off", ` {"version": 4`, "its end is missing (unexpected end of JSON input): record it, or copy it, again"},
		{"compressed and cut off", "\x1f\x8b\x08\x00", "its end is missing (unexpected EOF)"},
		{"two values", `{"version": 4} {}`, "after top-level value"},
		{"no version", `{"test": "T"}`, "it is no recording: it has no version, want 4"},
		{"an earlier version", `{"version": 2, "notices": ["one"]}`, "unknown version 2, want 4"},
		{"a later version, whatever it has", `{"version": 5, "new": 1}`, "unknown version 5, want 4"},
		{"an unknown field", `{"version": 4, "new": 1}`, `unknown field "new"`},
		{"an unknown field of the recording", recorded(`"new": 1`), `unknown field "new"`},
		{"an unknown kind in the recording", recorded(`"flows": [{}]`), `flow 0: source: unknown kind ""`},
		{"an initiator without a workload", recorded(`"initiators": [{}]`), `initiator 0: unknown kind ""`},
		{"an ephemeral port without a flow", recorded(`"ephemeralPorts": [{}]`), `ephemeral port 0: source: unknown kind ""`},
		{"no verdicts", check(``), "check: 0 verdicts on 1 flows"},
		{"a dialect that is none", `{"version": 4, "check": {"dialect": "P"}}`, `check: unknown dialect "P"`},
		{"an outcome that is none", check(`{"outcome": "maybe"}`), `check: verdict 0: unknown outcome "maybe"`},
		{"an implied flow without ends", `{"version": 4, "check": {"dialect": "NetworkPolicy", "implied": [{}]}}`,
			"check: implied: flow 0: source"},
		{"too few origins", strings.Replace(of(`{"kind": "anyone"}`, `"TCP"`), `"flows"`, `"origins": [0, 1], "flows"`, 1),
			"placed: 2 origins of 1 flows"},
		{"an origin that is none",
			strings.Replace(of(`{"kind": "anyone"}`, `"TCP"`), `"flows"`, `"origins": [1], "flows"`, 1),
			"placed: origin 0: there is no flow 1 in the recording"},
		{"a kind that is none", of(`{"kind": "pod"}`, `"TCP"`), `placed: flow 0: destination: unknown kind "pod"`},
		{"no kind", of(`{}`, `"TCP"`), `unknown kind ""`},
		{"evidence that is none", of(`{"kind": "address", "evidence": "guess"}`, `"TCP"`), `unknown evidence "guess"`},
		{"an address that is none", of(`{"kind": "address", "addr": "10.0.0"}`, `"TCP"`), `ParseAddr("10.0.0")`},
		{"a protocol that is none", of(`{"kind": "anyone"}`, `"tcp"`), `unknown protocol "tcp"`},
		{"a named port of no protocol", `{"version": 4, "placed": {"peers": [{"name": "db", "ports": [{"name": "pg"}]}]}}`,
			`placed: workload db: port pg: unknown protocol ""`},
		{"a protocol by number that has a name", of(`{"kind": "anyone"}`, `"IP/6"`), `unknown protocol "IP/6"`},
	} {
		path := filepath.Join(t.TempDir(), "a.json")
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", row.reason, err, row.want)
		}
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	for _, bad := range []File{
		{Placed: Placed{Flows: []Flow{{Protocol: "TCP"}}}},
		{Recording: Recording{Flows: []flow.Flow{{Protocol: flow.TCP}}}},
	} {
		err := bad.Write(filepath.Join(dir, "a.json"))
		if err == nil || !strings.Contains(err.Error(), `unknown kind ""`) {
			t.Errorf("a flow without ends: %v", err)
		}
	}
	if err := (File{}).Write(filepath.Join(dir, "missing", "a.json")); err == nil {
		t.Error("a directory that does not exist: no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the directory holds %v (%v), want nothing", left, err)
	}
}
