package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// patience is how long a test waits for what another process or the kernel does at once. On an emulated CPU that takes
// seconds.
const patience = 30 * time.Second

// rig is a probe that watches the test process, and the events that it has delivered.
type rig struct {
	*Probe
	t    testing.TB
	tree cgroup.Tree
	leaf *cgroup.Leaf
	self Self

	mu      sync.Mutex
	events  []Event
	created []string // paths of MkdirEvents
	entered []entry  // of EnterEvents
}

// entry is an EnterEvent without its time.
type entry struct{ Cgroup, By uint64 }

func newRig(t *testing.T, sizes Sizes) *rig {
	t.Helper()
	return newRigWith(t, sizes, nil)
}

// newRigWith is newRig with a function that gets what clients send.
func newRigWith(t testing.TB, sizes Sizes, stream func(*StreamEvent)) *rig {
	t.Helper()
	testenv.RequireRoot(t)
	r := &rig{t: t}
	var err error
	r.tree, err = cgroup.FindTree()
	check(t, err)
	r.Probe, err = Open(r.tree.Root, sizes, Handler{
		Stream: stream,
		Mkdir: func(e *MkdirEvent) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.created = append(r.created, e.Path)
		},
		Enter: func(e *EnterEvent) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.entered = append(r.entered, entry{e.Cgroup, e.By})
		},
		Handle: func(events []Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, events...)
		},
	})
	check(t, err)
	t.Cleanup(func() { check(t, r.Close()) })
	r.leaf, err = cgroup.NewLeaf(r.tree)
	check(t, err)
	t.Cleanup(func() { check(t, r.leaf.Leave()) })
	check(t, r.Watch(r.leaf.ID))
	check(t, r.leaf.Move(os.Getpid()))
	r.self, err = r.Check(r.leaf.ID)
	check(t, err)
	_, err = r.NextGeneration()
	check(t, err)
	return r
}

// untrackDescendants makes child processes in other cgroups unrelated.
func (r *rig) untrackDescendants() {
	r.t.Helper()
	check(r.t, r.forgetDescendants())
}

// forgetDescendants makes this process and its children unrelated where they are in other cgroups.
func (p *Probe) forgetDescendants() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ancestor = 0
	return p.configure()
}

// check is for preconditions of a test.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seen returns the delivered events of one kind.
func seen[E Event](r *rig) []E {
	r.t.Helper()
	check(r.t, r.Sync())
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []E
	for _, e := range r.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// clear drops the events delivered so far.
func (r *rig) clear() {
	r.t.Helper()
	check(r.t, r.Sync())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// flows returns the flow events with their counts, sorted: "TCP 127.0.0.1:80 x3". For ICMP the port is the type.
func (r *rig) flows() []string {
	r.t.Helper()
	events := seen[*FlowEvent](r)
	counts, err := r.Counts()
	check(r.t, err)
	var lines []string
	for _, e := range events {
		lines = append(lines, text(e.Protocol, netip.AddrPortFrom(e.Addr, e.Port+uint16(e.ICMPType)), counts[e.Key]))
	}
	slices.Sort(lines)
	return lines
}

func text(p flow.Protocol, to netip.AddrPort, count uint64) string {
	return fmt.Sprintf("%s %s x%d", p, to, count)
}

// mustLoseNothing fails the test if anything was lost.
func (r *rig) mustLoseNothing() {
	r.t.Helper()
	lost, err := r.Lost()
	check(r.t, err)
	if lost != (Loss{}) {
		r.t.Errorf("lost %+v", lost)
	}
}

// listen returns the address of a TCP listener that closes the connections that it accepts.
func listen(t *testing.T, network, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen(network, address)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// echo returns the address of a UDP server that returns what it receives.
func echo(t *testing.T, network, address string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(b[:n], from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// silent returns the address of a UDP socket that never reads.
func silent(t *testing.T, network, address string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}
