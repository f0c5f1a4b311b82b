package recorder

import (
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/containers"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A process that never had a child and is not a client of an engine cannot have started a container. So it does not
// report containers of other packages.
func TestOlderContainers_MayStartContainers(t *testing.T) {
	const variable = "NETZERO_TEST_CHILDREN"
	if children := os.Getenv(variable); children != "" {
		if children == "one" {
			if err := exec.Command("true").Run(); err != nil {
				t.Fatal(err)
			}
		}
		if children == "running" {
			sleeper := exec.Command("sleep", "60")
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			defer sleeper.Wait()
			defer sleeper.Process.Kill()
		}
		t.Logf("may: %t", mayStartContainers())
		return
	}
	for children, want := range map[string]string{"none": "may: false", "one": "may: true", "running": "may: true"} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"="+children)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: want %q: %v\n%s", children, want, err, out)
		}
	}
}

type anyEngine = containers.Engine // an embedded field of another name than the method Engine

// fakeEngine is an engine with containers that do not change. Each has one address.
type fakeEngine struct {
	anyEngine
	all map[netip.Addr]docker.Container
}

func (e fakeEngine) Engine() docker.Engine      { return docker.Engine{} }
func (e fakeEngine) Endpoint() docker.Endpoint  { return docker.Endpoint{} }
func (e fakeEngine) NetworkOwner(string) string { return "" }
func (e fakeEngine) OnHostNetwork(string) bool  { return false }

func (e fakeEngine) Containers() []docker.Container {
	return slices.Collect(maps.Values(e.all))
}

func (e fakeEngine) Container(id string) (docker.Container, bool) {
	for _, c := range e.all {
		if c.ID == id {
			return c, true
		}
	}
	return docker.Container{}, false
}

func (e fakeEngine) OwnerAt(addr netip.Addr, _ []string, _ time.Duration) (docker.Container, bool) {
	c, known := e.all[addr]
	return c, known
}

func (e fakeEngine) OwnerNear(addr netip.Addr, _ []string, _ time.Duration) (docker.Container, bool) {
	return e.OwnerAt(addr, nil, 0)
}

// An earlier test may have started an older container, so this test examines its flows. If the container is unrelated,
// its flows must not reach the notices.
func TestOlderContainers_FlowsOfUnrelatedContainer(t *testing.T) {
	const self, older = 1, 2
	engine := fakeEngine{all: map[netip.Addr]docker.Container{
		netip.MustParseAddr("172.17.0.2"): {ID: "older", Name: "older", Image: "example.test/older", Started: 1},
		netip.MustParseAddr("172.17.0.3"): {
			ID: "ryuk", Name: "ryuk", Labels: map[string]string{"org.testcontainers.ryuk": "true"}, Started: 1,
		},
	}}
	for _, row := range []struct {
		reason   string
		addr     string
		protocol flow.Protocol
		port     uint16
	}{
		{reason: "multicast stays on the link", addr: "224.0.0.251", protocol: flow.UDP, port: 5353},
		{reason: "testcontainers' Ryuk", addr: "172.17.0.3", protocol: flow.TCP, port: 8080},
	} {
		s, err := NewSimulation(Options{
			Test: "TestShop", Workload: "shop",
			ClusterName: func(string) (flow.Endpoint, bool) { return flow.Endpoint{}, false },
		}, self, nil, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		s.recording.started = now()
		s.recorder.containers.cgroups[older] = containerCgroup{"/docker/older", []string{"older"}}
		s.recorder.containers.older.recorded["older"] = nil
		s.Open(&probe.FlowEvent{Key: probe.Key{
			Cgroup: older, Addr: netip.MustParseAddr(row.addr), Protocol: row.protocol, Port: row.port,
		}}, "")
		got, err := s.resolve(engine)
		if err != nil || len(got.Flows) > 0 || len(got.Notices) > 0 {
			t.Errorf("%s: %v, flows %v, notices %v", row.reason, err, got.Flows, got.Notices)
		}
	}
}
