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

// A stranger that floods the kernel with flows must not keep us busy with who is at the other end of each: until we are
// through, the next stranger floods it.
func TestFlowsOfStrangersAreNotLookedAt(t *testing.T) {
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
	const stranger, container = 1 << 60, 1<<60 + 1
	opens := func(cgroup uint64) *probe.FlowEvent {
		return &probe.FlowEvent{Key: probe.Key{Cgroup: cgroup, Addr: netip.MustParseAddr("203.0.113.9"), Port: 80, Protocol: flow.TCP, Generation: m.generation}}
	}
	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c.handle([]probe.Event{
		&probe.CgroupEvent{Cgroup: stranger}, // by a packet: nobody knows its name yet
		opens(stranger), opens(container),
		&probe.CgroupEvent{Cgroup: container, Names: []string{id, "docker"}},
		&probe.CgroupEvent{Cgroup: stranger, Names: []string{"build", "ci"}},
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	of := make(map[uint64]int)
	for key := range m.observations {
		of[key.Cgroup]++
	}
	if of[stranger] != 0 || of[container] != 1 {
		t.Errorf("%d flows of the stranger were looked at, and %d of the container, want 0 and 1", of[stranger], of[container])
	}
}

// Of a cgroup that lies deep the kernel tells a part of the path: in which container it is, or that it is in none, the tree says.
func TestCgroupsThatLieDeepAreLookedUp(t *testing.T) {
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
	of := make(map[string]uint64)
	for _, top := range []string{container, "build"} {
		below := filepath.Join(filepath.Dir(c.session.Leaf.Path), fmt.Sprintf("netzerotest-%d", os.Getpid()), top)
		dir := filepath.Join(below, filepath.Join(names...))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for d := dir; d != filepath.Dir(filepath.Dir(below)); d = filepath.Dir(d) {
				_ = os.Remove(d) // the outermost goes with the second
			}
		}()
		if of[top], err = cgroup.ID(dir); err != nil {
			t.Fatal(err)
		}
		birth := &probe.CgroupEvent{Cgroup: of[top], Names: names[:16], Cut: true}
		if isOutsideContainers(birth) {
			t.Errorf("a cgroup somewhere below %s is disregarded at once", top)
		}
		c.handle([]probe.Event{birth})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ids := c.containers.cgroups[of[container]].ids; !slices.Equal(ids, []string{container}) {
		t.Errorf("the containers of one are %v", ids)
	}
	if c.isUnrelated(of[container]) || !c.isUnrelated(of["build"]) {
		t.Errorf("nobody's: %v for the container's, %v for the other one", c.isUnrelated(of[container]), c.isUnrelated(of["build"]))
	}
}

// The first events may come before the session is known, those of strangers too.
func TestEventsThatComeBeforeTheSession(t *testing.T) {
	c := &Recorder{containers: newContainers(func() {})}
	birth := &probe.CgroupEvent{Cgroup: 1 << 60, Names: []string{"build", "ci"}}
	c.handle([]probe.Event{birth})
	if len(c.early) != 1 || c.early[0] != birth {
		t.Errorf("kept %v", c.early)
	}
}
