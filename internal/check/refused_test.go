package check

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// refusedRecording has flows to a database, which policies allow, to an FTP server and to a host outside. The kernel
// refused those with these ports.
func refusedRecording(ports ...uint16) recording.Recording {
	r := checkedRecording()
	r.EphemeralPorts = nil
	for i := range r.Flows {
		for _, port := range ports {
			if r.Flows[i].Port == port && !r.Flows[i].Before {
				r.Flows[i].Refused = r.Flows[i].Count
			}
		}
	}
	return r
}

// targets returns the destinations of the unexpected flows, and of those that only the kernel refused.
func targets(r report.Report) (denied, refused []string) {
	for _, d := range r.Denied {
		denied = append(denied, d.Flow.Target())
	}
	for _, one := range r.Refused {
		refused = append(refused, one.Flow.Target()+": "+one.Reason)
	}
	return denied, refused
}

func TestRefusals_OnlyRefusedFlows(t *testing.T) {
	_, o := evaluated(t, committed, nil)
	o.Enforced = true
	got, flows, err := Refusals(refusedRecording(443), o)
	if err != nil {
		t.Fatal(err)
	}
	denied, refused := targets(got)
	if diff := cmp.Diff([]string{"api.quotes.test:443/TCP"}, denied); diff != "" || len(refused) > 0 {
		t.Errorf("also refused: %q; denied (-want +got)\n%s", refused, diff)
	}
	if !got.Failed() || got.Accept != o.Accept || len(flows) != len(checkedRecording().Flows) {
		t.Errorf("command %q, %d flows, report:\n%s", got.Accept, len(flows), got)
	}
	for _, want := range []string{`"operation not permitted" (EPERM)`, "in the kernel: 3 of 3 attempts", "pay.go:7"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestRefusals_None(t *testing.T) {
	_, o := evaluated(t, committed, nil)
	o.Enforced = true
	if got, _, err := Refusals(refusedRecording(), o); err != nil || got.Failed() {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestRefusals_WithoutGoldenFile(t *testing.T) {
	_, o := evaluated(t, "", nil)
	o.Enforced = true
	got, _, err := Refusals(refusedRecording(443, 5432), o)
	if err != nil {
		t.Fatal(err)
	}
	denied, _ := targets(got)
	if diff := cmp.Diff([]string{"db:5432/TCP", "api.quotes.test:443/TCP"}, denied); diff != "" || got.Missing {
		t.Errorf("missing: %v; denied (-want +got)\n%s", got.Missing, diff)
	}
	if got.Denied[0].Reason != noPolicy {
		t.Errorf("reason: %q", got.Denied[0].Reason)
	}
}

func TestRefusals_UnusableGoldenFile(t *testing.T) {
	_, o := evaluated(t, "kind: Secret\n", nil)
	if _, _, err := Refusals(refusedRecording(443), o); err == nil {
		t.Error("a golden file with a mistake is no error")
	}
}

func TestRun_FlowThatOnlyTheKernelRefused(t *testing.T) {
	_, o := evaluated(t, committed, nil)
	ignored, err := endpoint.ParseIgnore("api.quotes.test:443")
	if err != nil {
		t.Fatal(err)
	}
	o.Enforced, o.Placement.Ignored.Destinations = true, []endpoint.Ignore{ignored}
	o.File = ownFile(t, o.Golden, o.Test)
	recorded := refusedRecording(5432, 443)
	result, err := Run(recorded, o)
	if err != nil {
		t.Fatal(err)
	}
	_, refused := targets(result.Report)
	want := []string{
		"db:5432/TCP: policy checkout allows it (rule 0 (pods app=db)), but the kernel saw no DNS answer with this " +
			"address: dial a name that DNS resolves over UDP",
		"api.quotes.test:443/TCP: the option Ignore leaves it out of the policy, but the kernel saw no DNS answer with " +
			"this address: give Ignore the address too",
	}
	if diff := cmp.Diff(want, refused); diff != "" || !result.Report.Failed() {
		t.Errorf("(-want +got)\n%s", diff)
	}
	file := RecordingFile(recorded, nil, result, o)
	fromFile, _, err := Evaluate(file, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, again := targets(fromFile); !fromFile.Enforced || cmp.Diff(want, again) != "" {
		t.Errorf("from a file, enforced: %v (-test +file)\n%s", fromFile.Enforced, cmp.Diff(want, again))
	}
}

func TestRun_RefusedWithoutGoldenFile(t *testing.T) {
	_, o := evaluated(t, "", nil)
	o.Enforced = true
	o.File = ownFile(t, o.Golden, o.Test)
	result, err := Run(refusedRecording(443), o)
	if err != nil {
		t.Fatal(err)
	}
	denied, _ := targets(result.Report)
	if diff := cmp.Diff([]string{"api.quotes.test:443/TCP"}, denied); diff != "" || !result.Report.Missing {
		t.Errorf("missing: %v; denied (-want +got)\n%s", result.Report.Missing, diff)
	}
	if _, err := os.Stat(o.Golden); err == nil {
		t.Error("a golden file was written")
	}
}

func TestRecordingFile_SaysWhatTheKernelWouldRefuse(t *testing.T) {
	_, o := evaluated(t, committed, nil)
	o.File = ownFile(t, o.Golden, o.Test)
	recorded := refusedRecording()
	result, err := Run(recorded, o)
	if err != nil {
		t.Fatal(err)
	}
	file := RecordingFile(recorded, nil, result, o)
	var would []uint16
	for i, v := range file.Check.Verdicts {
		if v.WouldRefuse {
			would = append(would, file.Placed.Flows[i].Port)
		}
	}
	if diff := cmp.Diff([]uint16{443}, would); diff != "" {
		t.Errorf("ports (-want +got)\n%s", diff)
	}
}

func TestWouldRefuse(t *testing.T) {
	test := flow.WorkloadEndpoint("checkout")
	container := flow.Endpoint{Kind: flow.Workload, Name: "api", Addr: netip.MustParseAddr("172.17.0.3")}
	outside := flow.ExternalHost("api.quotes.test")
	outside.Addr = netip.MustParseAddr("203.0.113.7")
	loopback := flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("127.0.0.2")}
	neighbour := flow.Endpoint{Kind: flow.Address, Addr: outside.Addr, Evidence: flow.ByListener}
	denied, allowed := policy.Verdict{Outcome: policy.Denied}, policy.Verdict{Outcome: policy.Allowed}
	for _, row := range []struct {
		reason   string
		from, to flow.Endpoint
		verdict  policy.Verdict
		change   func(*flow.Flow)
		want     bool
	}{
		{"a host outside", test, outside, denied, nil, true},
		{"what no policy can allow", test, outside, policy.Verdict{Outcome: policy.Inexpressible}, nil, true},
		{"an allowed host", test, outside, allowed, nil, false},
		{"no policy isolates the source", test, outside, policy.Verdict{Outcome: policy.Unprotected}, nil, false},
		{
			"the destination's policy denies it",
			test, outside, policy.Verdict{Outcome: policy.Denied, Direction: policy.Ingress}, nil, false,
		},
		{"a name that is looked up", test, flow.ExternalHost("a.test"), denied, func(f *flow.Flow) { f.Lookup = true }, true},
		{"the resolver", test, flow.ClusterResolver, denied, nil, false},
		{"the API server", test, flow.ClusterAPIServer, denied, nil, true},
		{"a container, from the test", test, container, denied, nil, false},
		{"a container, from another", container, container, denied, nil, true},
		{"a host outside, from a container", container, outside, denied, nil, true},
		{"loopback", test, loopback, denied, nil, false},
		{"a process of this machine", test, neighbour, denied, nil, false},
		{"an old connection", test, outside, denied, func(f *flow.Flow) { f.Before = true }, false},
		{"a flow that others imply", test, outside, denied, func(f *flow.Flow) { f.Count = 0 }, false},
		{"a flow in a cluster", test, outside, denied, func(f *flow.Flow) { f.First = 0 }, false},
	} {
		f := flow.Flow{Source: row.from, Destination: row.to, Protocol: flow.TCP, Port: 443, Count: 1, First: 1}
		if row.change != nil {
			row.change(&f)
		}
		if got := wouldRefuse(f, row.verdict); got != row.want {
			t.Errorf("%s: %v", row.reason, got)
		}
	}
}
