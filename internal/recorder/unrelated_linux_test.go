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
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// An unrelated cgroup may flood the kernel with flows. Identifying each of them would take so long that the next
// unrelated cgroup floods it too.
func TestCgroups_UnrelatedFlowsAreDropped(t *testing.T) {
	r := startRecorder(t)
	rec := &Recording{
		recorder: r, test: "T", identifier: endpoint.New(endpoint.Config{}),
		observations: make(observations),
	}
	if err := r.add(rec); err != nil {
		t.Fatal(err)
	}
	const unrelated, container = 1 << 60, 1<<60 + 1
	opens := func(cgroup uint64) *probe.FlowEvent {
		return &probe.FlowEvent{
			Key: probe.Key{
				Cgroup: cgroup, Addr: netip.MustParseAddr("203.0.113.9"), Port: 80, Protocol: flow.TCP,
				Generation: rec.generation,
			},
		}
	}
	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	r.handle([]probe.Event{
		&probe.CgroupEvent{Cgroup: unrelated}, // reported by a packet, without a name
		opens(unrelated), opens(container),
		&probe.CgroupEvent{Cgroup: container, Names: []string{id, "docker"}},
		&probe.CgroupEvent{Cgroup: unrelated, Names: []string{"build", "ci"}},
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[uint64]int)
	for o := range rec.observations.each {
		counts[o.event.Cgroup]++
	}
	if counts[unrelated] != 0 || counts[container] != 1 {
		t.Errorf("%d flows of the unrelated cgroup and %d of the container, want 0 and 1",
			counts[unrelated], counts[container])
	}
}

// For a deeply nested cgroup the kernel reports only a part of the path. The cgroup tree shows whether the cgroup is in
// a container.
func TestCgroups_DeeplyNested(t *testing.T) {
	r := startRecorder(t)
	const depth = 17
	names := slices.Repeat([]string{"deeper"}, depth)
	container := strings.Repeat("0123456789abcdef", 4)
	ids := make(map[string]uint64)
	for _, top := range []string{container, "build"} {
		below := filepath.Join(filepath.Dir(r.session.Leaf.Path), fmt.Sprintf("netzerotest-%d", os.Getpid()), top)
		dir := filepath.Join(below, filepath.Join(names...))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for d := dir; d != filepath.Dir(filepath.Dir(below)); d = filepath.Dir(d) {
				_ = os.Remove(d) // the second cleanup removes the outermost
			}
		}()
		var err error
		if ids[top], err = cgroup.ID(dir); err != nil {
			t.Fatal(err)
		}
		created := &probe.CgroupEvent{Cgroup: ids[top], Names: names[:16], Cut: true}
		if isOutsideContainers(created) {
			t.Errorf("a cgroup somewhere below %s is ignored at once", top)
		}
		r.handle([]probe.Event{created})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.containers.cgroups[ids[container]].ids; !slices.Equal(got, []string{container}) {
		t.Errorf("containers of the cgroup: %v", got)
	}
	if r.isUnrelated(ids[container]) || !r.isUnrelated(ids["build"]) {
		t.Errorf("unrelated: %v for the container's cgroup, %v for the other one",
			r.isUnrelated(ids[container]), r.isUnrelated(ids["build"]))
	}
}
