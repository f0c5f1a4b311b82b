package recording

import (
	"bytes"
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
		Lookup: true, Before: true, Binaries: []string{"curl", "my%20tool"}, Process: flow.Process{Name: "checkout.test"},
	}}
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
	flows := FromFlows(everyFlow())
	checkout := Workload{
		Name: "checkout", Namespace: "web", Labels: map[string]string{"b": "1", "a": "2"},
		PodLabels: map[string]string{"a": "2", "b": "1", "c": "<3>"}, HostNetwork: true, AllTraffic: true,
	}
	return File{
		Version: Version, Test: "TestQuote/<a>", Package: "example.com/shop", Golden: "testdata/netzero/TestQuote/a.yaml",
		Workloads: []Workload{checkout}, Peers: []Workload{{Name: "db"}}, Flows: flows, Recorded: flows[:1],
		Notices: []string{"one", "two"}, Incomplete: "2 new flows were lost",
	}
}

func TestFileIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	want := whole()
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
	row := Row{
		Version: Version, Row: "a | b", Red: true, Namespace: "web", Manifests: "a\nb\n", NetworkPolicies: "c", Cilium: "d",
		Dials: []Dial{{From: "cart", Name: "db", Addr: "10.0.0.1", Port: 1, Protocol: "TCP"}}, Recording: want,
	}
	if err := row.Write(path); err != nil { // over the other file
		t.Fatal(err)
	}
	gotRow, err := ReadRow(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(row, gotRow); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the directory holds %v (%v), want one file", left, err)
	}
}

// A field that is added to the types is added to whole, or the test above does not cover it.
func TestExampleHasEveryField(t *testing.T) {
	r := whole()
	for _, value := range []any{r, r.Workloads[0], r.Flows[0], r.Flows[0].Source} {
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

func TestSecretsAreLeftOut(t *testing.T) {
	secret := "hunter2"
	path := filepath.Join(t.TempDir(), "a.json")
	end := flow.Endpoint{Kind: flow.Workload, Name: "db"}
	r := File{Flows: FromFlows([]flow.Flow{{
		Source: end, Destination: end, Protocol: flow.TCP, First: time.Second, Process: flow.Process{
			Name: "psql", Command: "psql -W " + secret, Exec: "sh -c " + secret, Parents: []string{"sh -c " + secret},
		},
	}})}
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte(secret)) || !bytes.Contains(text, []byte(`"process": "psql"`)) {
		t.Errorf("the file (%v) is\n%s", err, text)
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

func TestWrongFilesAreRefused(t *testing.T) {
	const flowOf = `{"version": 1, "flows": [{"source": {"kind": "anyone"}, "destination": %D, "protocol": %P}]}`
	of := func(destination, protocol string) string {
		return strings.NewReplacer("%D", destination, "%P", protocol).Replace(flowOf)
	}
	for _, row := range []struct{ reason, text, want string }{
		{"no JSON", "version: 1", "invalid character"},
		{"cut off", `{"version": 1`, "unexpected end"},
		{"two values", `{"version": 1} {}`, "after top-level value"},
		{"no version", `{"test": "T"}`, "unknown version 0, want 1"},
		{"a later version, whatever it has", `{"version": 2, "new": 1}`, "unknown version 2, want 1"},
		{"an unknown field", `{"version": 1, "new": 1}`, `unknown field "new"`},
		{"a kind that is none", of(`{"kind": "pod"}`, `"TCP"`), `flows: flow 0: destination: unknown kind "pod"`},
		{"no kind", of(`{}`, `"TCP"`), `unknown kind ""`},
		{"evidence that is none", of(`{"kind": "address", "evidence": "guess"}`, `"TCP"`), `unknown evidence "guess"`},
		{"an address that is none", of(`{"kind": "address", "addr": "10.0.0"}`, `"TCP"`), `ParseAddr("10.0.0")`},
		{"a protocol that is none", of(`{"kind": "anyone"}`, `"tcp"`), `unknown protocol "tcp"`},
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
	bad := File{Flows: []Flow{{Protocol: "TCP"}}}
	if err := bad.Write(filepath.Join(dir, "a.json")); err == nil || !strings.Contains(err.Error(), `unknown kind ""`) {
		t.Errorf("a flow without ends: %v", err)
	}
	if err := (File{}).Write(filepath.Join(dir, "missing", "a.json")); err == nil {
		t.Error("a directory that does not exist: no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the directory holds %v (%v), want nothing", left, err)
	}
}
