package hubble

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/hubble/hubbletest"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var update = flag.Bool("update", false, "write testdata instead of comparing with it")

func write(t *testing.T, f recording.File) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// To accept: go test ./internal/hubble -run TestWrite_Golden -update
func TestWrite_Golden(t *testing.T) {
	const path = "testdata/flows.json"
	f := hubbletest.Recording()
	verdicts := make([]recording.Verdict, len(f.Placed.Flows))
	for i := range verdicts {
		verdicts[i].Outcome = recording.OutcomeAllowed
	}
	verdicts[0].Policy = "cart"
	verdicts[1] = recording.Verdict{
		Outcome: recording.OutcomeDenied, Policy: "cart", Reason: "no egress rule allows the port",
	}
	verdicts[2] = recording.Verdict{Outcome: recording.OutcomeDenied, Ingress: true, Policy: "db"}
	verdicts[3] = recording.Verdict{Outcome: recording.OutcomeAllowed, Ingress: true, Policy: "db"}
	f.Check = &recording.Check{Verdicts: verdicts}
	got := write(t, f)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrite_ReadsBack(t *testing.T) {
	f := hubbletest.Recording()
	got := read(t, Options{}, strings.TrimSpace(write(t, f)))
	want := hubbletest.Flows()
	for i := range want {
		e := &want[i]
		e.Destination.Evidence = flow.NoEvidence
		if e.Destination.Kind == flow.External && !e.Lookup {
			e.Destination.Evidence = flow.ByDNS // Hubble's names are those of DNS
		}
		e.Source.Evidence, e.Binaries = flow.NoEvidence, nil
		for j := range e.Requests {
			e.Requests[j].Query, e.Opaque = "", unseen
		}
		if e.Before {
			e.Count = 1 // connections that were opened
		}
	}
	gotFlows, err := recording.ToFlows(got.Placed.Flows)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutPodAddresses(want), withoutPodAddresses(gotFlows), compareAddrs); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	var subjects []recording.Workload
	for _, w := range f.Placed.Workloads {
		w.AllTraffic = true
		subjects = append(subjects, w)
	}
	known := got.Placed.Workloads[:0:0]
	for _, w := range got.Placed.Workloads {
		if w.Namespace == "shop" && (w.Name == "cart" || w.Name == "db") {
			known = append(known, w)
		}
	}
	if diff := cmp.Diff(subjects, known); diff != "" {
		t.Errorf("workloads (-want +got):\n%s", diff)
	}
	if again := write(t, got); write(t, read(t, Options{}, strings.TrimSpace(again))) != again {
		t.Error("what was read is not written as it was")
	}
}

// A flow of which nothing left the machine is dropped, whatever the policies say.
func TestWrite_Refused(t *testing.T) {
	for _, row := range []struct {
		reason  string
		refused uint64
		verdict []recording.Verdict
		want    []string // parts of the line
		read    int      // flows that passed
	}{
		{
			"each attempt", 3, nil,
			[]string{`"verdict":"DROPPED","drop_reason":133`, "refused in the kernel: 3 of 3 attempts"}, 0,
		},
		{
			"each attempt, of an allowed flow", 3, []recording.Verdict{{Outcome: recording.OutcomeAllowed, Policy: "cart"}},
			[]string{`"verdict":"DROPPED","drop_reason":133`, `"egress_allowed_by":[{"name":"cart"}]`}, 0,
		},
		{"some", 2, nil, []string{`"verdict":"FORWARDED"`, "refused in the kernel: 2 of 3 attempts"}, 1},
		{"none", 0, nil, []string{`"verdict":"FORWARDED"`, `"Summary":"TCP Flags: SYN"`}, 1},
	} {
		f := recording.File{Placed: recording.Placed{Flows: recording.FromFlows([]flow.Flow{{
			Source: flow.WorkloadEndpoint("cart"), Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: 1,
			Count: 3, Refused: row.refused,
		}})}}
		if row.verdict != nil {
			f.Check = &recording.Check{Verdicts: row.verdict}
		}
		line := write(t, f)
		var compact bytes.Buffer
		if err := WriteCompact(&compact, f); err != nil {
			t.Fatal(err)
		}
		verdict := map[int]string{0: "DROPPED", 1: "FORWARDED"}[row.read]
		text := "cart -> db:1/TCP " + verdict + " (TCP Flags: SYN"
		isMarked := strings.Contains(compact.String(), "refused in the kernel")
		if !strings.HasPrefix(compact.String(), text) || isMarked != (row.refused > 0) {
			t.Errorf("%s: %q, want %q", row.reason, &compact, text)
		}
		for _, want := range row.want {
			if !strings.Contains(line, want) {
				t.Errorf("%s: no %s in %s", row.reason, want, line)
			}
		}
		line = strings.TrimSpace(line)
		if got := read(t, Options{}, line).Recording.Flows; len(got) != row.read {
			t.Errorf("%s: read %+v, want %d flows", row.reason, got, row.read)
		}
		all := read(t, Options{Dropped: IncludeDropped}, line).Recording.Flows
		if len(all) != 1 || all[0].Count != 3 {
			t.Errorf("%s: read %+v, with those that were dropped", row.reason, all)
		}
	}
}

// A denied request is dropped, and not its flow, unless all of the flow's requests are denied.
func TestWrite_DeniedRequests(t *testing.T) {
	allowed := recording.Verdict{Outcome: recording.OutcomeAllowed, Policy: "cart", Reason: "rule 1"}
	denied := recording.Verdict{Outcome: recording.OutcomeDenied, Policy: "cart", Reason: "GET /b is not listed"}
	for _, row := range []struct {
		reason   string
		requests []recording.Verdict
		want     string // verdicts of the lines
	}{
		{"one of two", []recording.Verdict{allowed, denied}, "FORWARDED FORWARDED DROPPED"},
		{"both", []recording.Verdict{denied, denied}, "DROPPED DROPPED DROPPED"},
		{"a file of before there were verdicts on requests", nil, "DROPPED DROPPED DROPPED"},
	} {
		worst := denied
		worst.Requests = row.requests
		f := recording.File{
			Placed: recording.Placed{Flows: recording.FromFlows([]flow.Flow{{
				Source: flow.WorkloadEndpoint("cart"), Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: 80,
				Count: 1, Requests: []flow.Request{
					{Protocol: flow.HTTP, Method: "GET", Host: "db", Path: "/a", Query: "?1"},
					{Protocol: flow.HTTP, Method: "GET", Host: "db", Path: "/b", Query: "?1"},
					{Protocol: flow.HTTP, Method: "GET", Host: "db", Path: "/b", Query: "?2"},
				},
			}})},
			Check: &recording.Check{Verdicts: []recording.Verdict{worst}},
		}
		var got []string
		for line := range strings.Lines(write(t, f)) {
			var m message
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Flow.Verdict))
		}
		if text := strings.Join(got, " "); text != row.want {
			t.Errorf("%s: %s, want %s", row.reason, text, row.want)
		}
		var compact bytes.Buffer
		if err := WriteCompact(&compact, f); err != nil {
			t.Fatal(err)
		}
		if want := "cart -> db:80/TCP http-request DROPPED (GET http://db/b)\n"; !strings.HasSuffix(compact.String(), want) {
			t.Errorf("%s: %s", row.reason, &compact)
		}
	}
}

// withoutPodAddresses returns flows without the addresses of pods, of which Read knows one for each workload.
func withoutPodAddresses(flows []flow.Flow) []flow.Flow {
	for i := range flows {
		for _, e := range []*flow.Endpoint{&flows[i].Source, &flows[i].Destination} {
			if e.Kind == flow.Workload || e.Kind == flow.Resolver {
				*e = e.Identity()
			}
		}
	}
	return flows
}

func TestWrite_EscapesWhatATerminalInterprets(t *testing.T) {
	hostile := "a\x1b[31m\u202e\u0085\u007f\U000e0001\n"
	f := recording.File{Placed: recording.Placed{Flows: recording.FromFlows([]flow.Flow{{
		Source: flow.WorkloadEndpoint(hostile), Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: 1,
		Count: 1,
	}})}}
	out := write(t, f)
	for _, r := range strings.TrimSuffix(out, "\n") {
		if r < ' ' || r > '~' {
			t.Errorf("%q is in %q", r, out)
		}
	}
	if got := read(t, Options{}, out).Recording.Flows; len(got) != 1 || got[0].Source.Name != hostile {
		t.Errorf("%+v, want a source %q", got, hostile)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWrite_Errors(t *testing.T) {
	f := hubbletest.Recording()
	if err := Write(brokenWriter{}, f); !errors.Is(err, errBroken) {
		t.Errorf("%v, want %v", err, errBroken)
	}
	want := "18 flows have 1 verdicts"
	f.Check = &recording.Check{Verdicts: make([]recording.Verdict, 1)}
	if err := Write(&bytes.Buffer{}, f); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	f.Check = nil
	f.Placed.Flows[0].Protocol = "QUIC"
	if err := Write(&bytes.Buffer{}, f); err == nil || !strings.Contains(err.Error(), "QUIC") {
		t.Errorf("%v, want the unknown protocol", err)
	}
}
