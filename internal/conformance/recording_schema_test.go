package conformance

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// validate returns the error of a validator of JSON Schema for a file against docs/recording.schema.json.
func validate(t *testing.T, text []byte) error {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../docs/recording.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

// recordingFile returns a file with each kind of value that a field can have.
func recordingFile() recording.File {
	checkout, api := flow.WorkloadEndpoint("checkout"), flow.ExternalHost("api.example.com")
	api.Addr, api.Evidence = netip.MustParseAddr("2001:db8::1"), flow.ByDNS
	process := flow.Process{
		PID: 12, Name: "curl", Command: "curl -v", Parents: []string{"sh (pid 11)"},
		Stack: []flow.Frame{{Function: "net.Dial", File: "net/dial.go", Line: 3}},
	}
	var flows []flow.Flow
	for protocol := range 256 {
		flows = append(flows, flow.Flow{
			Source: checkout, Destination: api, Protocol: flow.Protocol(protocol), Port: 443, Count: 1 << 60, Refused: 1,
			First: time.Millisecond, Process: process, Binaries: []string{"curl"},
		})
	}
	workload := recording.Workload{Name: "checkout", Labels: map[string]string{"app": "checkout"}}
	f := recording.File{
		Version: recording.Version, Test: "TestQuote", Golden: "testdata/netzero/TestQuote.yaml",
		Started: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Enforced: true,
		Recording: recording.Recording{
			Flows: flows, Workloads: []recording.Workload{workload},
			Notices:        []recording.Notice{{Code: recording.CodeInfrastructure, Text: "one"}},
			EphemeralPorts: []recording.EphemeralPort{{Flow: flows[0]}},
			Losses:         []recording.Loss{{What: "new flows", Count: 1}},
			Initiators: map[recording.Program]recording.Initiator{
				{Workload: checkout, Binary: "curl"}: {Process: process, First: time.Second},
			},
		},
		Placed: recording.Placed{Workloads: []recording.Workload{workload}, Flows: recording.FromFlows(flows[:1])},
		Check: &recording.Check{
			Dialect: "NetworkPolicy",
			Verdicts: []recording.Verdict{{
				Outcome: recording.OutcomeDenied, Policy: "checkout", Reason: "no rule", WouldRefuse: true,
			}},
		},
	}
	return f
}

// What is written is valid, and a validator refuses what the reader refuses.
func TestRecordingSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	for _, f := range []recording.File{recordingFile(), {Test: "TestNothing"}} {
		if err := f.Write(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, text); err != nil {
			t.Errorf("%s: %v", f.Test, err)
		}
	}
	text, err := json.Marshal(recordingFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ old, new string }{
		{`"version":4`, `"version":3`},
		{`"test":"TestQuote"`, `"new":1`},
		{`"kind":"external"`, `"kind":"pod"`},
		{`"evidence":"dns"`, `"evidence":"guess"`},
		{`"protocol":"TCP"`, `"protocol":"tcp"`},
		{`"port":443`, `"port":65536`},
		{`"outcome":"denied"`, `"outcome":"maybe"`},
		{`"dialect":"NetworkPolicy"`, `"dialect":"Policy"`},
		{`"function":"net.Dial"`, `"func":"net.Dial"`},
	} {
		wrong := strings.Replace(string(text), row.old, row.new, 1)
		if wrong == string(text) {
			t.Errorf("no %s in the file", row.old)
		}
		if err := validate(t, []byte(wrong)); err == nil {
			t.Errorf("%s in place of %s is valid", row.new, row.old)
		}
		if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := recording.Read(path); err == nil {
			t.Errorf("the reader accepts %s in place of %s", row.new, row.old)
		}
	}
}
