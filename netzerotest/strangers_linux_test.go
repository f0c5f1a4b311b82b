package netzerotest

import (
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// A stranger that floods the kernel with flows must not keep us busy with who is at the other end of each: until we are
// through, the next stranger floods it.
func TestFlowsOfStrangersAreNotLookedAt(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newCapture(probe.Sizes{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	m := &membership{capture: c, name: "T", identifier: endpoint.New(endpoint.Config{}), seen: make(map[sightingKey]sighting)}
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
	for key := range m.seen {
		of[key.Cgroup]++
	}
	if of[stranger] != 0 || of[container] != 1 {
		t.Errorf("%d flows of the stranger were looked at, and %d of the container, want 0 and 1", of[stranger], of[container])
	}
}

// The first events may come before the session is known, those of strangers too.
func TestEventsThatComeBeforeTheSession(t *testing.T) {
	c := &capture{containers: newContainers(func() {})}
	birth := &probe.CgroupEvent{Cgroup: 1 << 60, Names: []string{"build", "ci"}}
	c.handle([]probe.Event{birth})
	if len(c.early) != 1 || c.early[0] != birth {
		t.Errorf("kept %v", c.early)
	}
}
