package probe

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// The ways in which a connection can meet a recording.
const (
	unrecorded = "unrecorded" // no programs
	elsewhere  = "elsewhere"  // programs that watch somebody else
	older      = "older"      // programs that watch somebody else, and cgroups that are younger than this one
	repeated   = "repeated"   // a flow that is known
	fresh      = "fresh"      // a flow that is new
)

var ways = []string{unrecorded, elsewhere, older, repeated, fresh}

// BenchmarkTCP connects to a port of loopback that nobody serves, which takes a connection's whole way through the hooks
// and leaves nothing behind.
func BenchmarkTCP(b *testing.B) {
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			measure(b, way, func(addr [4]byte) error {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr, Port: 9}); err != unix.ECONNREFUSED {
					return err
				}
				return nil
			})
		})
	}
}

// BenchmarkUDP sends a datagram to a socket that reads nothing.
func BenchmarkUDP(b *testing.B) {
	sink, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(b, err)
	defer unix.Close(sink)
	must(b, unix.Bind(sink, &unix.SockaddrInet4{Port: 9}))
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			fd := -1
			measure(b, way, func(addr [4]byte) (err error) {
				if fd < 0 { // here, where it is in scope
					if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
						return err
					}
				}
				return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: addr, Port: 9})
			})
			must(b, unix.Close(fd))
		})
	}
}

// BenchmarkStartStop loads, attaches and proves the programs, and takes them down again.
func BenchmarkStartStop(b *testing.B) {
	testenv.RequireRoot(b)
	for b.Loop() {
		p, leaf := start(b)
		must(b, leaf.Move(os.Getpid()))
		_, err := p.Check(leaf.ID)
		must(b, err)
		must(b, leaf.Leave())
		must(b, p.Close())
	}
}

// measure times opening flows in one way, and tells how long the programs ran for one of them.
func measure(b *testing.B, way string, open func(addr [4]byte) error) {
	testenv.RequireRoot(b)
	statistics, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	must(b, err)
	defer statistics.Close()
	var p *Probe
	if way != unrecorded {
		var leaf *cgroup.Leaf
		p, leaf = start(b)
		defer func() { must(b, p.Close()) }()
		must(b, leaf.Move(os.Getpid()))
		_, err := p.Check(leaf.ID)
		must(b, err)
		switch way {
		case older:
			must(b, p.WatchNewborn(leaf.ID))
			fallthrough
		case elsewhere:
			must(b, leaf.Leave())
		default:
			defer func() { must(b, leaf.Leave()) }()
		}
	}
	addr := [4]byte{127, 0, 0, 1}
	must(b, open(addr))
	before := runTime(b, p)
	n := uint32(0)
	for b.Loop() {
		if n++; way == fresh {
			// 127.1.0.0 and up to half as many flows as there is room for; then from there again.
			known := n % (DefaultSizes.MaxFlows / 2)
			if known == 0 {
				b.StopTimer()
				forgetAll(b, p)
				b.StartTimer()
			}
			binary.BigEndian.PutUint32(addr[:], 127<<24|1<<16|known)
		}
		if err := open(addr); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(runTime(b, p)-before)/float64(n), "kernel-ns/op")
	if p != nil {
		lost, err := p.Lost()
		must(b, err)
		if lost != (Loss{}) {
			b.Errorf("lost %+v", lost)
		}
	}
}

func start(b *testing.B) (*Probe, *cgroup.Leaf) {
	tree, err := cgroup.FindTree()
	must(b, err)
	p, err := Open(tree.Root, Sizes{RingBytes: 64 << 20}, Handler{Handle: func([]Event) {}})
	must(b, err)
	leaf, err := cgroup.NewLeaf(tree)
	must(b, err)
	must(b, p.Watch(leaf.ID))
	_, err = p.NextGeneration()
	must(b, err)
	return p, leaf
}

// runTime returns for how many nanoseconds the programs have run so far.
func runTime(b *testing.B, p *Probe) uint64 {
	if p == nil {
		return 0
	}
	sum := uint64(0)
	o := p.objects
	for _, program := range []*ebpf.Program{
		o.Connect4, o.Connect6, o.Sendmsg4, o.Sendmsg6, o.PostBind4, o.PostBind6, o.Egress, o.Ingress,
	} {
		s, err := program.Stats()
		must(b, err)
		sum += uint64(s.Runtime)
	}
	return sum
}

func forgetAll(b *testing.B, p *Probe) {
	var all []bpf.RecordFlowKey
	var k bpf.RecordFlowKey
	var f bpf.RecordFlow
	for flows := p.objects.Flows.Iterate(); flows.Next(&k, &f); {
		all = append(all, k)
	}
	for _, k := range all {
		must(b, p.objects.Flows.Delete(k))
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
