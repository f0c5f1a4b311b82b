package placement

import (
	"net/netip"
	"testing"

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

// A report on a recording's file names the processes, although its placed flows have none.
func TestFromFile_Processes(t *testing.T) {
	at := func(name, addr string, port uint16, count uint64, process string) flow.Flow {
		f := flow.Flow{
			Source: flow.WorkloadEndpoint("shop"), Destination: flow.WorkloadEndpoint(name), Protocol: flow.TCP, Port: port,
			Count: count, Process: flow.Process{Name: process},
		}
		if addr != "" {
			f.Destination.Addr = netip.MustParseAddr(addr)
		}
		return f
	}
	recorded := []flow.Flow{
		at("db", "10.0.0.1", 5432, 1, "psql"), at("db", "10.0.0.1", 80, 7, "curl"), at("search", "", 9200, 1, "java"),
	}
	v := recording.File{
		Recording: recording.Recording{Flows: recorded},
		Placed: recording.Placed{Flows: recording.FromFlows([]flow.Flow{
			at("orders-db", "10.0.0.1", 5432, 1, ""), at("orders-db", "10.0.0.1", 8080, 7, ""), at("search", "", 9200, 1, ""),
			at("orders-db", "10.0.0.2", 5432, 1, ""), at("orders-db", "10.0.0.1", 1, 2, ""),
		})},
	}
	placed, err := FromFile(v, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range placed.Flows {
		got = append(got, f.Process.Name)
	}
	if diff := cmp.Diff([]string{"psql", "curl", "java", "", ""}, got); diff != "" {
		t.Errorf("processes (-want +got)\n%s", diff)
	}
}
