package endpoint

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// identified is the result of Identify without the fields of [TestIdentify_PolicyPort].
type identified struct {
	End      flow.Endpoint
	Relation Relation
}

func check(t *testing.T, reason string, identify func(Query) Identity, q Query, want identified) {
	t.Helper()
	identity := identify(q)
	got := identified{identity.Endpoint, identity.Relation}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("%s: %+v (-want +got):\n%s", reason, q, diff)
	}
}

// unusedPort returns a port of 127.0.0.1 without a listener, reserved by a bound TCP socket that does not listen.
func unusedPort(t testing.TB) uint16 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(addr.(*unix.SockaddrInet4).Port)
}

func TestIdentify_Destinations(t *testing.T) {
	self := os.Getpid()
	server, err := tryStart(t, copyBinary(t, "Redis Server"), func(*exec.Cmd) {}, "serve", "-", "tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	serverPort := netip.MustParseAddrPort(server.line).Port()
	client := start(t, "wait").pid
	_, inProcess := listen(t, "tcp", "127.0.0.1:0")
	closed := unusedPort(t)
	loopback, loopback6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	public, public6 := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")

	peers := mustPeers(t,
		"127.0.0.1:1", "fake",
		"127.0.0.53:53", "test-dns",
		"127.0.0.99", "quiet",
		"203.0.113.10", "legacy",
		"198.51.100.0/24", "partner",
		"pay.example", "payments",
		"pay.example:8443", "payments-admin",
	)
	id := New(Config{Self: self, Peers: peers, Workload: "orders"})
	ownWorkload := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Evidence: flow.ByOption}, Self}
	redis := func(a netip.Addr) identified {
		return identified{flow.Endpoint{Kind: flow.Workload, Name: "redis-server", Addr: a, Evidence: flow.ByListener},
			Other}
	}
	peer := func(name string, a netip.Addr) identified {
		return identified{flow.Endpoint{Kind: flow.Workload, Name: name, Addr: a, Evidence: flow.ByOption}, Other}
	}
	bare := func(a netip.Addr, r Relation) identified {
		return identified{flow.Endpoint{Kind: flow.Address, Addr: a}, r}
	}
	for _, tt := range []struct {
		reason string
		q      Query
		want   identified
	}{
		{"a resolver on loopback", Query{PID: self, Protocol: flow.UDP, Addr: netip.MustParseAddr("127.0.0.11"),
			Port: 53},
			identified{resolverAt("127.0.0.11"), Other}},
		{"a peer with a port before a resolver",
			Query{PID: self, Protocol: flow.UDP, Addr: netip.MustParseAddr("127.0.0.53"), Port: 53},
			peer("test-dns", netip.MustParseAddr("127.0.0.53"))},
		{"a peer with a port on loopback, without a listener",
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: 1}, peer("fake", loopback)},
		{"a peer named by name and port", Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: 8443,
			Name: "pay.example"}, peer("payments-admin", loopback)},

		{"the test process talks to itself",
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: inProcess.Port()}, ownWorkload},
		{"by another spelling of loopback", Query{PID: self, Protocol: flow.TCP,
			Addr: netip.MustParseAddr("::ffff:127.0.0.1"), Port: inProcess.Port()}, ownWorkload},
		{"by the unspecified address", Query{PID: self, Protocol: flow.TCP, Addr: netip.IPv4Unspecified(),
			Port: inProcess.Port()}, ownWorkload},
		{"a child calls the test process", Query{PID: client, Protocol: flow.TCP, Addr: loopback,
			Port: inProcess.Port()}, ownWorkload},
		{"a process unknown to the kernel calls the test process",
			Query{PID: 0, Protocol: flow.TCP, Addr: loopback, Port: inProcess.Port()}, ownWorkload},
		{"a child talks to itself", Query{PID: server.pid, Protocol: flow.TCP, Addr: loopback, Port: serverPort},
			ownWorkload},
		{"a ping to oneself", Query{PID: self, Protocol: flow.ICMP, Addr: loopback, Port: 0}, ownWorkload},
		{"the test process calls a child", Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: serverPort},
			redis(loopback)},
		{"the same over IPv6", Query{PID: self, Protocol: flow.TCP, Addr: loopback6, Port: serverPort},
			redis(loopback6)},
		{"a child calls another", Query{PID: client, Protocol: flow.TCP, Addr: loopback, Port: serverPort},
			redis(loopback)},
		{"a process that is gone called a child",
			Query{PID: 1 << 30, Protocol: flow.TCP, Addr: loopback, Port: serverPort}, redis(loopback)},
		{"a listener precedes the DNS name",
			Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: serverPort, Name: "cache.shop.svc"},
			redis(loopback)},
		{"no process listens", Query{PID: self, Protocol: flow.TCP, Addr: loopback, Port: closed},
			bare(loopback, NoListener)},
		{"another protocol at a port in use",
			Query{PID: self, Protocol: flow.UDP, Addr: loopback, Port: inProcess.Port()},
			bare(loopback, NoListener)},
		{"no process listens, but the user named the address",
			Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("127.0.0.99"), Port: closed},
			peer("quiet", netip.MustParseAddr("127.0.0.99"))},
		{"a protocol whose listeners cannot be read stays visible",
			Query{PID: self, Protocol: flow.SCTP, Addr: loopback, Port: closed}, bare(loopback, Other)},

		{"a peer by address", Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("203.0.113.10"), Port: 80,
			Name: "old.example"},
			peer("legacy", netip.MustParseAddr("203.0.113.10"))},
		{"a peer by network", Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("198.51.100.7"), Port: 80,
			Name: "old.example"},
			peer("partner", netip.MustParseAddr("198.51.100.7"))},
		{"a peer by name", Query{PID: self, Protocol: flow.TCP, Addr: public, Port: 443, Name: "Pay.Example."},
			peer("payments", public)},
		{"a name of the cluster", Query{PID: self, Protocol: flow.TCP, Addr: public, Port: 5432, Name: "db.shop.svc"},
			identified{flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "shop", Addr: public,
				Evidence: flow.ByDNS}, Other}},
		{"a name of the internet", Query{PID: self, Protocol: flow.TCP, Addr: public6, Port: 443,
			Name: "API.Stripe.com."},
			identified{flow.Endpoint{Kind: flow.External, Name: "api.stripe.com", Addr: public6, Evidence: flow.ByDNS},
				Other}},
		{"no name", Query{PID: self, Protocol: flow.TCP, Addr: public, Port: 443}, bare(public, Other)},
		{"no name, mapped", Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("::ffff:203.0.113.9"),
			Port: 443}, bare(public, Other)},
		{"no name, with a zone", Query{PID: self, Protocol: flow.TCP, Addr: netip.MustParseAddr("fe80::9%lo"),
			Port: 443}, bare(netip.MustParseAddr("fe80::9"), Other)},
		{"port 53 elsewhere is no resolver", Query{PID: self, Protocol: flow.UDP, Addr: public, Port: 53},
			bare(public, Other)},
	} {
		check(t, tt.reason, id.Identify, tt.q, tt.want)
	}
}

func TestIdentify_LocalAddress(t *testing.T) {
	own := ownAddr(t)
	l, addr := listen(t, "tcp", netip.AddrPortFrom(own, 0).String())
	id := New(Config{Workload: "orders"})
	q := Query{PID: os.Getpid(), Protocol: flow.TCP, Addr: own, Port: addr.Port(), Name: "me.example"}
	self := identified{flow.Endpoint{Kind: flow.Workload, Name: "orders", Evidence: flow.ByOption}, Self}
	check(t, "our own listener", id.Identify, q, self)
	l.Close()
	check(t, "no listener", id.Identify, q, identified{flow.Endpoint{Kind: flow.Address, Addr: own}, NoListener})
}

func TestIdentify_UDPServers(t *testing.T) {
	server := start(t, "serve", "-", "udp", "127.0.0.1:0")
	addr := netip.MustParseAddrPort(server.line)
	id := New(Config{Workload: "orders"})
	q := Query{PID: os.Getpid(), Protocol: flow.UDP, Addr: addr.Addr(), Port: addr.Port()}
	want := flow.Endpoint{Kind: flow.Workload, Name: "endpoint-test", Addr: addr.Addr(), Evidence: flow.ByListener}
	check(t, "a child's", id.Identify, q, identified{want, Other})
	q.Protocol = flow.TCP
	check(t, "not of TCP", id.Identify, q,
		identified{flow.Endpoint{Kind: flow.Address, Addr: addr.Addr()}, NoListener})
}

func TestIdentify_NoDescriptorLeak(t *testing.T) {
	id := New(Config{})
	loopback := netip.MustParseAddr("127.0.0.1")
	closed := unusedPort(t)
	identifyAll := func() {
		id.Identify(Query{PID: os.Getpid(), Protocol: flow.TCP, Addr: loopback, Port: closed})
		id.Identify(Query{PID: os.Getppid(), Protocol: flow.UDP, Addr: netip.MustParseAddr("203.0.113.1"), Port: 53})
		id.Identify(Query{PID: 1 << 30, Protocol: flow.UDP, Addr: loopback, Port: 53})
	}
	identifyAll()
	before := openDescriptors(t)
	for range 50 {
		identifyAll()
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors became %d", before, after)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// A batch reads the machine once: thousands of flows cost little more than one.
func BenchmarkBatch(b *testing.B) {
	server := start(b, "serve", "-", "tcp", "127.0.0.1:0")
	addr := netip.MustParseAddrPort(server.line)
	for range 2000 { // as on a busy machine
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
	}
	q := Query{PID: os.Getpid(), Protocol: flow.TCP, Addr: addr.Addr(), Port: addr.Port()}
	id := New(Config{})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			id.Identify(q)
		}
	})
	b.Run("further", func(b *testing.B) {
		batch := id.Batch()
		for b.Loop() {
			batch.Identify(q)
		}
	})
}
