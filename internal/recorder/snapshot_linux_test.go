package recorder

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A test may read its flows while more of them arrive. The resolution sees one moment, and changes nothing.
func TestSnapshot_IsACopy(t *testing.T) {
	const self, container = 1, 2
	s, err := NewSimulation(Options{
		Test: "TestShop", Workload: "shop",
		ClusterName: func(string) (flow.Endpoint, bool) { return flow.Endpoint{}, false },
	}, self, nil, []SimulatedContainer{{ID: "db", Cgroup: container, Attached: true}}, false)
	if err != nil {
		t.Fatal(err)
	}
	r, rec := s.recorder, s.recording
	db := netip.MustParseAddr("172.17.0.2")
	engine := fakeEngine{all: map[netip.Addr]docker.Container{db: {ID: "db", Name: "db", Image: "example.test/db"}}}
	event := func(cgroup uint64, addr netip.Addr) *probe.FlowEvent {
		return &probe.FlowEvent{Key: probe.Key{Cgroup: cgroup, Addr: addr, Port: 5432, Protocol: flow.TCP}}
	}
	s.Open(event(self, db), "")
	s.Open(event(container, netip.MustParseAddr("203.0.113.9")), "")
	s.Lookup(event(container, netip.Addr{}), "gone.svc.cluster.test")
	rec.lookups[lookupKey{container, "gone.svc.cluster.test"}].searchIsOurs = true
	r.correlation.keepSearchDomains(container, endpoint.Search{Domains: []string{"svc.cluster.test"}, Dots: 1})

	first, second := s.snapshot(), s.snapshot()
	want, err := first.resolve(engine, nil)
	if err != nil || len(want.Flows) != 3 {
		t.Fatalf("%v, flows %v", err, want.Flows)
	}
	if !rec.lookups[lookupKey{container, "gone.svc.cluster.test"}].searchIsOurs {
		t.Error("the resolution changed a lookup")
	}

	s.Open(event(container, netip.MustParseAddr("203.0.113.10")), "")
	for o := range rec.observations.each {
		o.flow.Count, o.sentNames = 100, []string{"later.test"}
	}
	rec.lookups[lookupKey{container, "gone.svc.cluster.test"}].answered = true
	rec.overlapping["TestOther"] = true
	r.correlation.keepSearchDomains(container, endpoint.Search{})
	r.containers.cgroups[container] = containerCgroup{"/docker/other", []string{"other"}}
	r.containers.attachments["db"].names[rec] = "later"
	r.containers.older.recorded["db"] = nil
	r.containers.waits["db"] = []waitPeriod{{from: 0, until: time.Hour}}
	r.attribution.recordings = append(r.attribution.recordings, &Recording{recorder: r, test: "TestOther"})
	got, err := second.resolve(engine, nil)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("after changes: %v (-want +got):\n%s", err, diff)
	}
}

// The environment of a process in a container may not be readable. The engine has that of the container.
func TestResolve_APIServerInEnvironmentOfContainer(t *testing.T) {
	const self, container = 1, 2
	s, err := NewSimulation(Options{
		Test: "TestShop", Workload: "shop",
		ClusterName: func(string) (flow.Endpoint, bool) { return flow.Endpoint{}, false },
	}, self, nil, []SimulatedContainer{{ID: "operator", Cgroup: container, Attached: true}}, false)
	if err != nil {
		t.Fatal(err)
	}
	engine := fakeEngine{all: map[netip.Addr]docker.Container{netip.MustParseAddr("172.17.0.2"): {
		ID: "operator", Name: "operator", Image: "example.test/operator",
		APIServer: []string{"KUBERNETES_SERVICE_HOST=203.0.113.6", "KUBERNETES_SERVICE_PORT=6443"},
	}}}
	for port, protocol := range map[uint16]flow.Protocol{6443: flow.TCP, 443: flow.TCP, 53: flow.UDP} {
		s.Open(&probe.FlowEvent{Key: probe.Key{
			Cgroup: container, Addr: netip.MustParseAddr("203.0.113.6"), Port: port, Protocol: protocol,
		}}, "")
	}
	got, err := s.snapshot().resolve(engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Flows {
		if is := f.Destination.Kind == flow.APIServer; is != (f.Port == 6443) || f.Source.Name != "operator" {
			t.Errorf("%v", f)
		}
	}
	if len(got.Flows) != 3 {
		t.Errorf("flows %v", got.Flows)
	}
}
