package probe

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// The kernel wakes only a sleeping reader. An event that arrives just when the reader falls asleep is delivered too,
// without a Sync.
func TestRing_EventWakesReader(t *testing.T) {
	testenv.RequireRoot(t)
	flows := uint16(2000)
	if testing.Short() { // on an emulated CPU
		flows = 100
	}
	tree, err := cgroup.FindTree()
	check(t, err)
	ports := make(chan uint16, 2*flows)
	p, err := Open(tree.Root, Sizes{}, Handler{Handle: func(events []Event) {
		for _, e := range events {
			if e, ok := e.(*FlowEvent); ok {
				ports <- e.Port
			}
		}
	}})
	check(t, err)
	defer p.Close()
	leaf, err := cgroup.NewLeaf(tree)
	check(t, err)
	defer leaf.Leave()
	check(t, p.Watch(leaf.ID))
	check(t, leaf.Move(os.Getpid()))
	for port := uint16(1); port <= flows; port++ {
		// The reader falls asleep within this time.
		time.Sleep(rand.N(2 * ringIdlePolls * ringPollInterval))
		if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
		}
		select {
		case got := <-ports:
			if got != port {
				t.Fatalf("got port %d, want %d", got, port)
			}
		case <-time.After(patience):
			t.Fatalf("port %d is not reported", port)
		}
	}
}

// An awake reader leaves only one record uncommitted, no matter how many pass through the ring.
func TestRing_AwakeReaderCommits(t *testing.T) {
	r := newRig(t, Sizes{RingBytes: uint32(4 * os.Getpagesize())})
	for range 20 {
		storm(t, 10)
		check(t, r.Sync())
		_, err := r.NextGeneration()
		check(t, err)
	}
	if got := len(seen[*FlowEvent](r)); got != 200 {
		t.Errorf("%d flows, want 200", got)
	}
	r.mustLoseNothing()
}

func TestSync_ClosedProbe(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	check(t, err)
	p, err := Open(tree.Root, Sizes{}, Handler{Handle: func([]Event) {}})
	check(t, err)
	check(t, p.Close())
	if err := p.Sync(); err == nil {
		t.Error("Sync of a closed probe succeeds")
	}
}
