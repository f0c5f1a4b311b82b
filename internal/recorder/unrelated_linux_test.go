package recorder

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// An unrelated cgroup may flood the kernel with flows. Identifying each of them would take so long that the next unrelated
// cgroup floods it too.
func TestCgroups_UnrelatedFlowsAreDropped(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	m := &Recording{recorder: c, test: "T", identifier: endpoint.New(endpoint.Config{}), observations: make(map[observationKey]observation)}
	if err := c.add(m); err != nil {
		t.Fatal(err)
	}
	const unrelated, container = 1 << 60, 1<<60 + 1
	opens := func(cgroup uint64) *probe.FlowEvent {
		return &probe.FlowEvent{Key: probe.Key{Cgroup: cgroup, Addr: netip.MustParseAddr("203.0.113.9"), Port: 80, Protocol: flow.TCP, Generation: m.generation}}
	}
	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c.handle([]probe.Event{
		&probe.CgroupEvent{Cgroup: unrelated}, // reported by a packet, without a name
		opens(unrelated), opens(container),
		&probe.CgroupEvent{Cgroup: container, Names: []string{id, "docker"}},
		&probe.CgroupEvent{Cgroup: unrelated, Names: []string{"build", "ci"}},
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[uint64]int)
	for key := range m.observations {
		counts[key.Cgroup]++
	}
	if counts[unrelated] != 0 || counts[container] != 1 {
		t.Errorf("%d flows of the unrelated cgroup and %d of the container, want 0 and 1", counts[unrelated], counts[container])
	}
}

// For a deeply nested cgroup the kernel reports only a part of the path. The cgroup tree shows whether the cgroup is in a
// container.
func TestCgroups_DeeplyNested(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	const depth = 17
	names := slices.Repeat([]string{"deeper"}, depth)
	container := strings.Repeat("0123456789abcdef", 4)
	ids := make(map[string]uint64)
	for _, top := range []string{container, "build"} {
		below := filepath.Join(filepath.Dir(c.session.Leaf.Path), fmt.Sprintf("netzerotest-%d", os.Getpid()), top)
		dir := filepath.Join(below, filepath.Join(names...))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for d := dir; d != filepath.Dir(filepath.Dir(below)); d = filepath.Dir(d) {
				_ = os.Remove(d) // the second cleanup removes the outermost
			}
		}()
		if ids[top], err = cgroup.ID(dir); err != nil {
			t.Fatal(err)
		}
		created := &probe.CgroupEvent{Cgroup: ids[top], Names: names[:16], Cut: true}
		if isOutsideContainers(created) {
			t.Errorf("a cgroup somewhere below %s is ignored at once", top)
		}
		c.handle([]probe.Event{created})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.containers.cgroups[ids[container]].ids; !slices.Equal(got, []string{container}) {
		t.Errorf("containers of the cgroup: %v", got)
	}
	if c.isUnrelated(ids[container]) || !c.isUnrelated(ids["build"]) {
		t.Errorf("unrelated: %v for the container's cgroup, %v for the other one", c.isUnrelated(ids[container]), c.isUnrelated(ids["build"]))
	}
}

// Events may arrive before the session is open, also those of unrelated cgroups.
func TestEvents_BeforeSession(t *testing.T) {
	c := &Recorder{containers: newContainers(func() {})}
	created := &probe.CgroupEvent{Cgroup: 1 << 60, Names: []string{"build", "ci"}}
	c.handle([]probe.Event{created})
	if len(c.early) != 1 || c.early[0] != created {
		t.Errorf("kept %v", c.early)
	}
}
