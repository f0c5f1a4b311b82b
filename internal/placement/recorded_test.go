package placement

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestOptions_RecordedAndBack(t *testing.T) {
	want := recording.Options{
		Cilium: true, FoldNames: []string{"shard-*.db.example"}, Ports: []string{"ftp:30000-30009/TCP", "a.b:7/UDP"},
		Binaries: true, CloseIngress: true, DefaultDeny: true, ClusterDomains: []string{"k8s.example"}, Driver: true,
		Ignore: []string{"*.vendor.example", "10.0.0.0/8:53", "[2001:db8::7]:443", "localhost:80"},
		Resolvers: []recording.Resolver{
			{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "dns"}, Ports: []uint16{5353}},
			{Addresses: "169.254.20.10/32"},
		},
	}
	o, err := FromRecorded(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, o.Recorded()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for reason, wrong := range map[string]recording.Options{
		"a pattern without an asterisk": {FoldNames: []string{"db.example"}},
		"a port that is none":           {Ports: []string{"ftp:0"}},
		"ranges that overlap":           {Ports: []string{"ftp:1-9", "ftp:9"}},
		"addresses that are no CIDR":    {Resolvers: []recording.Resolver{{Addresses: "169.254.20.10"}}},
		"a destination that is none":    {Ignore: []string{"a b"}},
	} {
		if _, err := FromRecorded(wrong); err == nil {
			t.Errorf("%s: no error", reason)
		}
	}
}

// A report on a recording's file names the processes, although its placed flows have none. Two ports of one Service
// that were used equally often keep their own processes.
func TestOrigins_Processes(t *testing.T) {
	db := netip.MustParseAddr("10.0.0.1")
	at := func(name string, port uint16, first time.Duration, process string) flow.Flow {
		to := flow.WorkloadEndpoint(name)
		to.Addr = db
		return flow.Flow{
			Source: flow.WorkloadEndpoint("shop"), Destination: to, Protocol: flow.TCP, Port: port, Dialled: port, Count: 1,
			First: first, Process: flow.Process{PID: 7, Name: process, Command: process + " hunter2"},
		}
	}
	recorded := []flow.Flow{
		at("db", 80, time.Second, "curl"), at("db", 443, 2*time.Second, "openssl"), at("db", 5432, 3*time.Second, "psql"),
	}
	var placed []flow.Flow // at other ports, under another name, in another order
	for i, port := range []uint16{8443, 8080, 5432} {
		f := recorded[[]int{1, 0, 2}[i]]
		f.Source.Namespace, f.Destination.Name, f.Port = "web", "orders-db", port
		placed = append(placed, f)
	}
	other := at("cache", 6379, 4*time.Second, "redis-cli")
	for i := range recorded {
		recorded[i].Process.Command = recorded[i].Process.Name + " ***"
	}
	v := recording.File{
		Recording: recording.Recording{Flows: recorded},
		Placed:    recording.Placed{Origins: Origins(append(placed, other), recorded)},
	}
	if diff := cmp.Diff([]int{1, 0, 2, -1}, v.Placed.Origins); diff != "" {
		t.Errorf("origins (-want +got)\n%s", diff)
	}
	for _, f := range append(placed, other) {
		f.Process, f.First, f.Named = flow.Process{}, 0, ""
		v.Placed.Flows = append(v.Placed.Flows, recording.FromFlows([]flow.Flow{f})...)
	}
	got, err := FromFile(v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, f := range got.Flows {
		commands = append(commands, f.Process.Command)
	}
	if diff := cmp.Diff([]string{"openssl ***", "curl ***", "psql ***", ""}, commands); diff != "" {
		t.Errorf("command lines (-want +got)\n%s", diff)
	}
}
