package probe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The states of a recording that a connection can meet.
const (
	unrecorded = "unrecorded" // no programs
	elsewhere  = "elsewhere"  // programs that watch another cgroup
	older      = "older"      // programs that watch another cgroup, and track cgroups newer than this one
	repeated   = "repeated"   // a known flow
	fresh      = "fresh"      // a new flow
	// The same two without goroutine attribution.
	repeatedUnattributed = "repeated-mixed"
	freshUnattributed    = "fresh-mixed"
	// The same two in a child process of the test.
	repeatedChild = "repeated-child"
	freshChild    = "fresh-child"
	// A new flow after an idle time, with the reader asleep. Most of its time is idle.
	freshAlone = "fresh-alone"
	// A known flow that an enforced policy allows: a policy of one prefix, and one of ten thousand.
	enforced      = "enforced"
	enforcedAmong = "enforced-10000"
	// A known flow whose requests are read.
	reading = "reading"
)

var ways = []string{
	unrecorded, elsewhere, older,
	repeatedUnattributed, repeated, repeatedChild,
	freshUnattributed, fresh, freshChild, freshAlone,
	enforced, enforcedAmong,
}

// BenchmarkTCP connects to a closed port on loopback. That passes all hooks of a connection, and leaves nothing behind.
func BenchmarkTCP(b *testing.B) {
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			measure(b, way, connectRefused)
		})
	}
}

// BenchmarkTCPAway does the same at an address outside of loopback, without a name: the programs wait for a payload.
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

// connectRefused connects to a closed port.
func connectRefused(addr [4]byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr, Port: 9}); err != unix.ECONNREFUSED {
		return fmt.Errorf("connect to a closed port: %v", err)
	}
	return nil
}

// BenchmarkUDP sends a datagram to a socket that never reads.
func BenchmarkUDP(b *testing.B) {
	sink, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(b, err)
	defer unix.Close(sink)
	must(b, unix.Bind(sink, &unix.SockaddrInet4{Port: 9}))
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			fd := -1
			measure(b, way, func(addr [4]byte) (err error) {
				if fd < 0 { // here it is in scope
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

// BenchmarkSegment writes to a connection after its first payload.
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
			b1 := make([]byte, 1)
			measure(b, way, func([4]byte) (err error) {
				if near == 0 { // here it is in scope
					near, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
					must(b, err)
					must(b, unix.Connect(near, at))
					far, _, err = unix.Accept(listener)
					must(b, err)
				}
				if _, err = unix.Write(near, b1); err == nil {
					_, err = unix.Read(far, b1)
				}
				return err
			})
			must(b, unix.Close(near))
			must(b, unix.Close(far))
		})
	}
}

// BenchmarkRequest sends an HTTP request of a usual length over a kept connection.
func BenchmarkRequest(b *testing.B) {
	request := "GET /api/v1/invoices/4711 HTTP/1.1\r\nHost: billing:8080\r\nUser-Agent: Go-http-client/1.1\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n"
	for _, way := range []string{unrecorded, repeated, reading} {
		b.Run(way, func(b *testing.B) { benchmarkWrites(b, way, "", []byte(request)) })
	}
}

// BenchmarkBody sends 64 KiB of the body of an HTTP request.
func BenchmarkBody(b *testing.B) {
	for _, way := range []string{unrecorded, repeated, reading} {
		b.Run(way, func(b *testing.B) {
			benchmarkWrites(b, way, "PUT / HTTP/1.1\r\nContent-Length: 4611686018427387904\r\n\r\n", make([]byte, 64<<10))
		})
	}
}

// benchmarkWrites writes to a connection that begins with some bytes, and waits until its peer has read them.
func benchmarkWrites(b *testing.B, way, begin string, bytes []byte) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(b, err)
	defer unix.Close(listener)
	must(b, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(b, unix.Listen(listener, 1))
	at, err := unix.Getsockname(listener)
	must(b, err)
	var near, far int
	buffer := make([]byte, 64<<10)
	write := func(what []byte) error {
		if _, err := unix.Write(near, what); err != nil {
			return err
		}
		for left := len(what); left > 0; {
			n, err := unix.Read(far, buffer[:min(left, len(buffer))])
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	}
	b.SetBytes(int64(len(bytes)))
	measure(b, way, func([4]byte) (err error) {
		if near == 0 { // here it is in scope
			near, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(b, err)
			must(b, unix.SetsockoptInt(near, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
			must(b, unix.SetsockoptInt(near, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)) // one write fits into it
			must(b, unix.Connect(near, at))
			far, _, err = unix.Accept(listener)
			must(b, err)
			if begin != "" {
				must(b, write([]byte(begin)))
			}
		}
		return write(bytes)
	})
	must(b, unix.Close(near))
	must(b, unix.Close(far))
}

// BenchmarkHello connects to a server and sends a ClientHello with a known name.
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
				// Reset the connection, so that no port stays in TIME_WAIT.
				must(b, unix.SetsockoptLinger(near, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
				must(b, unix.Close(near))
				return unix.Close(far)
			})
		})
	}
}

// BenchmarkStartStop loads, attaches and checks the programs, and closes them.
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

// measure opens flows in one state of the recording, and reports how long the programs ran for each.
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
		if way == repeatedChild || way == freshChild { // as if another test process had started this one
			must(b, p.objects.Children.Update(uint32(os.Getpid()), uint64(id), ebpf.UpdateAny))
			must(b, p.setProcess(1))
		}
		switch way {
		case enforced, enforcedAmong:
			enforceBench(b, p, leaf, id, way)
			fallthrough
		default:
			defer func() { must(b, leaf.Leave()) }()
		case older:
			must(b, p.TrackNewCgroups(leaf.ID))
			fallthrough
		case elsewhere:
			must(b, leaf.Leave())
			must(b, p.forgetDescendants())
		}
		if way == reading {
			must(b, p.EnableRequests())
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
			// 127.1.0.0 and up, until the table is half full; then again from the start.
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

// enforceBench enforces a policy that allows loopback, alone or with ten thousand other prefixes.
func enforceBench(b *testing.B, p *Probe, leaf *cgroup.Leaf, id goroutine.ID, way string) {
	any := []enforce.PortRange{{Protocol: flow.TCP, Last: 65535}, {Protocol: flow.UDP, Last: 65535}}
	rules := Rules{Addresses: map[netip.Prefix][]enforce.PortRange{netip.MustParsePrefix("127.0.0.0/8"): any}}
	for i := range 10_000 {
		if way == enforcedAmong {
			rules.Addresses[netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(1 + i>>8), byte(i), 0}), 24)] = any
		}
	}
	must(b, p.EnableEnforcement())
	policy, err := p.NewPolicy(rules)
	must(b, err)
	must(b, p.Enforce(leaf.ID, id, policy))
}

// withoutAttribution turns goroutine attribution off until undo.
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

// runTime returns the run time of the programs so far in nanoseconds.
func runTime(b *testing.B, p *Probe) uint64 {
	if p == nil {
		return 0
	}
	sum := uint64(0)
	o := p.objects
	programs := []*ebpf.Program{
		o.Connect4, o.Connect6, o.Sendmsg4, o.Sendmsg6, o.PostBind4, o.PostBind6, o.Egress, o.Ingress,
		p.enforcement.programs.Connect4, p.enforcement.programs.Egress, p.enforcement.programs.Ingress,
	}
	if q := p.requests; q != nil {
		programs = append(programs, q.objects.RequestsConnect4, q.objects.RequestsEgress, q.objects.RequestsIngress)
	}
	for _, program := range programs {
		if program == nil {
			continue
		}
		s, err := program.Stats()
		must(b, err)
		sum += uint64(s.Runtime)
	}
	return sum
}

// connectTime is runTime for the programs on system calls that name a destination.
func connectTime(b *testing.B, p *Probe) uint64 {
	if p == nil {
		return 0
	}
	sum := uint64(0)
	for _, program := range []*ebpf.Program{p.objects.Connect4, p.objects.Sendmsg4, p.enforcement.programs.Connect4} {
		if program == nil {
			continue
		}
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
