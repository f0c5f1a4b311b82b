package probe

import (
	"slices"
	"sync"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// stacks holds the call stacks that arrived before their flow. A datagram socket that was connected but sent nothing
// leaves its stack here.
type stacks struct {
	mu    sync.Mutex
	byKey map[Key]*goroutine.Stack
	order []Key
}

// maxStacks limits the stacks without a flow.
const maxStacks = 4096

func (s *stacks) add(k Key, stack *goroutine.Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = make(map[Key]*goroutine.Stack)
	}
	k.CgroupGeneration, k.Generation = 0, 0
	if _, waits := s.byKey[k]; !waits {
		s.order = append(s.order, k)
	}
	s.byKey[k] = stack
	if len(s.order) > maxStacks {
		delete(s.byKey, s.order[0])
		s.order = s.order[1:]
	}
}

// pop removes and returns the stack of a flow; nil if there is none.
func (s *stacks) pop(k Key) *goroutine.Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.CgroupGeneration, k.Generation = 0, 0
	stack, known := s.byKey[k]
	if known {
		delete(s.byKey, k)
		if i := slices.Index(s.order, k); i >= 0 {
			s.order = slices.Delete(s.order, i, i+1)
		}
	}
	return stack
}

// stackKey returns the key by which a stack waits: that of its flow, or that of a lookup.
func stackKey(k Key) Key {
	if k.Protocol == flow.UDP && k.Connection() != 0 {
		return lookupKey(k.Cgroup, k.Recording, k.Connection())
	}
	return k
}

// lookupKey returns the key of the stack of a lookup. socket is the cookie of its socket.
func lookupKey(cgroup uint64, recording goroutine.ID, socket uint64) Key {
	return Key{Cgroup: cgroup, Recording: recording, Bound: socket | boundIsConnection}
}

func stackOf(e *bpf.RecordStackEvent) *goroutine.Stack {
	s := &goroutine.Stack{Goroutine: e.Goroutine, Parent: e.Parent, Creator: uintptr(e.Creator)}
	for _, address := range e.Frames[:min(int(e.Length), len(e.Frames))] {
		s.Addresses = append(s.Addresses, uintptr(address))
	}
	s.Cut = len(s.Addresses) == len(e.Frames)
	return s
}
