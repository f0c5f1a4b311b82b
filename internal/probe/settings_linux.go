package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Self is this process as the kernel's hooks see it.
type Self struct {
	PID   int    // in the initial pid namespace
	Netns uint64 // cookie of its network namespace
}

// Check proves that the hooks fire for this process, which must be in the watched cgroup, and returns how they see it.
// It connects UDP sockets on loopback, which send nothing.
//
// From then on, flows are attributed to goroutines and child processes if possible ([Probe.Unattributed]), cgroups
// nested in the watched one are in scope, and so are all descendants of this process in any cgroup
// ([Probe.TracksDescendants]). Errors: [ErrNotFiring].
func (p *Probe) Check(cgroup uint64) (Self, error) {
	s, err := p.tryConnect()
	if errors.Is(err, ebpf.ErrKeyNotExist) || err == nil && s.Cgroup != cgroup {
		return Self{}, ErrNotFiring
	}
	if err != nil {
		return Self{}, err
	}
	self := Self{PID: int(s.ConnectedBy.Pid), Netns: s.Connected.Netns}
	p.mu.Lock()
	if s.ConnectedBy.Level != 0 {
		p.level = s.ConnectedBy.Level
	}
	p.trackDescendants(cgroup, self)
	err = p.configure()
	p.mu.Unlock()
	if err != nil {
		return Self{}, err
	}
	return self, p.checkGoroutines(self.PID)
}

// Level returns the level in the tree of the cgroup that was passed to Check; the root has level 0.
func (p *Probe) Level() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.level)
}

// NextGeneration makes every known flow new again, and returns the generation of flows from now on.
func (p *Probe) NextGeneration() (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generation++
	return p.generation, p.configure()
}

// SetConcurrent sets whether several recordings are active. If so, a connection that sends is reported for each
// recording with a goroutine that sends on it, not only once in a generation.
func (p *Probe) SetConcurrent(concurrent bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.concurrent == concurrent {
		return nil
	}
	p.concurrent = concurrent
	return p.configure()
}

func (p *Probe) configure() error {
	s := bpf.RecordSettings{
		Generation: p.generation, Level: p.level, NewCgroupsAfter: p.newCgroupsAfter,
		Process: p.process, Leaf: p.leaf, Ancestor: p.ancestor,
	}
	if p.scanning {
		s.Scanning = 1
	}
	if p.concurrent {
		s.Concurrent = 1
	}
	if err := p.objects.Config.Update(uint32(0), s, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

// ErrNoFlow is returned for a key without a flow.
var ErrNoFlow = errors.New("no such flow")

// Invalidate makes a known flow new again, and returns its count so far. Errors: [ErrNoFlow].
func (p *Probe) Invalidate(k Key) (uint64, error) {
	key := keyTo(k)
	var f bpf.RecordFlow
	err := p.objects.Flows.LookupAndDelete(key, &f)
	if errors.Is(err, ebpf.ErrNotSupported) { // hash maps before Linux 5.14
		if err = p.objects.Flows.Lookup(key, &f); err == nil {
			err = p.objects.Flows.Delete(key)
		}
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = ErrNoFlow
	}
	if err != nil {
		return 0, fmt.Errorf("invalidate flow: %w", err)
	}
	return f.Count, nil
}

// Lost returns the losses since Open.
func (p *Probe) Lost() (Loss, error) {
	var n [bpf.RecordCounterCOUNTERS]uint64
	for i := range n {
		var perCPU []uint64
		if err := p.objects.Counters.Lookup(uint32(i), &perCPU); err != nil {
			return Loss{}, fmt.Errorf("read loss counters: %w", err)
		}
		for _, c := range perCPU {
			n[i] += c
		}
	}
	l := Loss{
		FlowEvents: n[bpf.RecordCounterLOST_FLOW_EVENT],
		FlowSlots:  n[bpf.RecordCounterLOST_FLOW_ENTRY],
		BindEvents: n[bpf.RecordCounterLOST_BIND_EVENT],
		DNSEvents:  n[bpf.RecordCounterLOST_DNS_EVENT],
		NameEvents: n[bpf.RecordCounterLOST_NAME_EVENT],
		NameSlots:  n[bpf.RecordCounterLOST_NAME_ENTRY],
		Sockets:    n[bpf.RecordCounterLOST_SOCKET],
		Packets:    n[bpf.RecordCounterLOST_PACKET],

		CgroupEvents: n[bpf.RecordCounterLOST_CGROUP_EVENT],
		Cgroups:      n[bpf.RecordCounterLOST_CGROUP_ENTRY],

		Children: n[bpf.RecordCounterLOST_CHILD],
		Stacks:   n[bpf.RecordCounterLOST_STACK_EVENT],

		Enforcement: n[bpf.RecordCounterLOST_ENFORCEMENT],
	}
	err := p.requestReader().addLoss(&l)
	return l, err
}
