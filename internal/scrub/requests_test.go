package scrub

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestRequests_LoseTheirQueries(t *testing.T) {
	get := func(path, query string) flow.Request {
		return flow.Request{Protocol: flow.HTTP, Method: "GET", Path: path, Query: query}
	}
	end := flow.WorkloadEndpoint("billing")
	f := flow.Flow{
		Source: end, Destination: end, Protocol: flow.TCP, Port: 8080,
		Requests: []flow.Request{get("/a", ""), get("/b", "?token=1"), get("/b", "?token=2"), get("/b", "?token=3")},
	}
	r := recording.Recording{Flows: []flow.Flow{f}, EphemeralPorts: []recording.EphemeralPort{{Flow: f}}}
	v := recording.File{Version: recording.Version, Recording: Recording(r), Check: &recording.Check{
		Dialect: "NetworkPolicy", Verdicts: []recording.Verdict{{
			Outcome: recording.OutcomeDenied,
			Requests: []recording.Verdict{
				{Outcome: recording.OutcomeAllowed, Reason: "0"}, {Outcome: recording.OutcomeAllowed, Reason: "1"},
				{Outcome: recording.OutcomeDenied, Reason: "2"}, {Outcome: recording.OutcomeAllowed, Reason: "3"},
			},
		}},
	}}
	v.Placed.Flows = recording.FromFlows(r.Flows)
	v.Placed.EphemeralPorts = recording.FromEphemeralPorts(r.EphemeralPorts)
	Placed(&v)
	path := filepath.Join(t.TempDir(), "a.json")
	if err := v.Write(path); err != nil {
		t.Fatal(err)
	}
	written, err := recording.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []flow.Request{get("/a", ""), get("/b", "?redacted")}
	placed, _ := recording.ToFlows(written.Placed.Flows)
	ephemeral, _ := recording.ToEphemeralPorts(written.Placed.EphemeralPorts)
	for where, got := range map[string][]flow.Request{
		"recording": written.Recording.Flows[0].Requests, "its ephemeral ports": written.Recording.EphemeralPorts[0].Flow.Requests,
		"placed": placed[0].Requests, "placed ephemeral ports": ephemeral[0].Flow.Requests,
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", where, diff)
		}
	}
	var reasons []string
	for _, v := range written.Check.Verdicts[0].Requests {
		reasons = append(reasons, v.Reason)
	}
	if got := strings.Join(reasons, ","); got != "0,2" {
		t.Errorf("the verdicts are %s, want 0,2", got)
	}
	if f.Requests[1].Query != "?token=1" {
		t.Error("the recording itself was changed")
	}
}
