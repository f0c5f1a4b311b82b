package probe

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// The ways in which a connection can meet a recording.
const (
	unrecorded = "unrecorded" // no programs
	elsewhere  = "elsewhere"  // programs that watch somebody else
	older      = "older"      // programs that watch somebody else, and cgroups that are younger than this one
	repeated   = "repeated"   // a flow that is known
	fresh      = "fresh"      // a flow that is new
	// The same two where goroutines are not told apart.
	repeatedUnattributed = "repeated-mixed"
	freshUnattributed    = "fresh-mixed"
	// The same two in a child process of the test.
	repeatedChild = "repeated-child"
	freshChild    = "fresh-child"
	// A flow that is new after a quiet time, when nobody is awake to be told of it; its time is mostly quiet.
	freshAlone = "fresh-alone"
)

var ways = []string{
	unrecorded, elsewhere, older, repeatedUnattributed, repeated, repeatedChild, freshUnattributed, fresh, freshChild, freshAlone,
}

// BenchmarkTCP connects to a port of loopback that nobody serves, which takes a connection's whole way through the hooks
// and leaves nothing behind.
func BenchmarkTCP(b *testing.B) {
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			measure(b, way, connectRefused)
		})
	}
}

// BenchmarkTCPAway is the same at an address that is not loopback's and has no name, so that what is said is waited for.
func BenchmarkTCPAway(b *testing.B) {
	for _, way := range []string{unrecorded, repeated, repeatedChild, fresh} {
		b.Run(way, func(b *testing.B) {
			enterNetns(b)
			measure(b, way, func(addr [4]byte) error {
				addr[0], addr[1] = 198, 18+addr[1]
				return connectRefused(addr)
			})
		})
	}
}

// connectRefused connects to a port that nobody serves.
func connectRefused(addr [4]byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr, Port: 9}); err != unix.ECONNREFUSED {
		return fmt.Errorf("connect to a port that nobody serves: %v", err)
	}
	return nil
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

// BenchmarkSegment writes to a connection whose first bytes were heard before.
func BenchmarkSegment(b *testing.B) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(b, err)
	defer unix.Close(listener)
	must(b, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(b, unix.Listen(listener, 1))
	at, err := unix.Getsockname(listener)
	must(b, err)
	for _, way := range []string{unrecorded, elsewhere, older, repeated} {
		b.Run(way, func(b *testing.B) {
			var near, far int
			heard := make([]byte, 1)
			measure(b, way, func([4]byte) (err error) {
				if near == 0 { // here, where it is in scope
					near, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
					must(b, err)
					must(b, unix.Connect(near, at))
					far, _, err = unix.Accept(listener)
					must(b, err)
				}
				if _, err = unix.Write(near, heard); err == nil {
					_, err = unix.Read(far, heard)
				}
				return err
			})
			must(b, unix.Close(near))
			must(b, unix.Close(far))
		})
	}
}

// BenchmarkHello connects to a server and sends a ClientHello, with a name that is known.
func BenchmarkHello(b *testing.B) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(b, err)
	defer unix.Close(listener)
	must(b, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(b, unix.Listen(listener, 1))
	at, err := unix.Getsockname(listener)
	must(b, err)
	hello := records(handshake(serverName("api.pay.test"), ext{43, make([]byte, 5)}, ext{51, make([]byte, 1400)}), 1<<14)
	for _, way := range []string{unrecorded, elsewhere, older, repeated} {
		b.Run(way, func(b *testing.B) {
			measure(b, way, func([4]byte) error {
				near, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				must(b, err)
				must(b, unix.Connect(near, at))
				far, _, err := unix.Accept(listener)
				must(b, err)
				_, err = unix.Write(near, hello)
				must(b, err)
				_, err = unix.Read(far, make([]byte, 4096))
				must(b, err)
				// So that no port is left waiting.
				must(b, unix.SetsockoptLinger(near, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
				must(b, unix.Close(near))
				return unix.Close(far)
			})
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
		if way == repeatedUnattributed || way == freshUnattributed {
			defer withoutAttribution()()
		}
		var leaf *cgroup.Leaf
		p, leaf = start(b)
		defer func() { must(b, p.Close()) }()
		must(b, leaf.Move(os.Getpid()))
		_, err := p.Check(leaf.ID)
		must(b, err)
		id := goroutine.NewID()
		defer goroutine.Mark(id)()
		must(b, p.AttributeLabels(goroutine.Labels(), id))
		if way == repeatedChild || way == freshChild { // as if the test process were another one, which has started us
			must(b, p.objects.Children.Update(uint32(os.Getpid()), uint64(id), ebpf.UpdateAny))
			must(b, p.setProcess(1))
		}
		switch way {
		case older:
			must(b, p.TrackNewCgroups(leaf.ID))
			fallthrough
		case elsewhere:
			must(b, leaf.Leave())
		default:
			defer func() { must(b, leaf.Leave()) }()
		}
	}
	addr := [4]byte{127, 0, 0, 1}
	must(b, open(addr))
	before, connects := runTime(b, p), connectTime(b, p)
	n := uint32(0)
	for b.Loop() {
		if way == freshAlone {
			time.Sleep(2 * time.Millisecond)
		}
		if n++; strings.HasPrefix(way, fresh) {
			// 127.1.0.0 and up to half as many flows as there is room for; then from there again.
			known := n % (DefaultSizes.MaxFlows / 2)
			if known == 0 {
				b.StopTimer()
				deleteFlows(b, p)
				b.StartTimer()
			}
			binary.BigEndian.PutUint32(addr[:], 127<<24|1<<16|known)
		}
		if err := open(addr); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(runTime(b, p)-before)/float64(n), "kernel-ns/op")
	b.ReportMetric(float64(connectTime(b, p)-connects)/float64(n), "connect-ns/op")
	if p != nil {
		lost, err := p.Lost()
		must(b, err)
		if lost != (Loss{}) {
			b.Errorf("lost %+v", lost)
		}
	}
}

// withoutAttribution keeps the programs from telling goroutines apart, until undo.
func withoutAttribution() (undo func()) {
	read := taskLayout
	taskLayout = func() (layout, error) {
		l, err := read()
		l.attribution = attribution{unattributed: "it is a benchmark"}
		return l, err
	}
	return func() { taskLayout = read }
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

// connectTime is runTime of the programs alone that see system calls which name a destination.
func connectTime(b *testing.B, p *Probe) uint64 {
	if p == nil {
		return 0
	}
	sum := uint64(0)
	for _, program := range []*ebpf.Program{p.objects.Connect4, p.objects.Sendmsg4} {
		s, err := program.Stats()
		must(b, err)
		sum += uint64(s.Runtime)
	}
	return sum
}

func deleteFlows(b *testing.B, p *Probe) {
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
