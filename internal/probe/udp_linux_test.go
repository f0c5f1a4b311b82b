package probe

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var loopbacks = map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"}

func TestUDP_ConnectIsNoTraffic(t *testing.T) {
	testenv.Recorded(t, "UDP connected, IPv4")
	testenv.Recorded(t, "UDP connected, IPv6")
	r := newRig(t, Sizes{})
	for network, loopback := range loopbacks {
		to := silent(t, network, loopback)
		c, err := net.Dial(network, to.String())
		check(t, err)
		defer c.Close()
		if got := r.flows(); len(got) > 0 {
			t.Fatalf("connect alone made flows %v", got)
		}
		for range 3 {
			_, err = c.Write([]byte("x"))
			check(t, err)
		}
		if diff := cmp.Diff([]string{text(flow.UDP, to, 3)}, r.flows()); diff != "" {
			t.Errorf("flows after write (-want +got):\n%s", diff)
		}
		r.clear()
	}
	r.mustLoseNothing()
}

func TestUDP_DestinationIsTheNamedOne(t *testing.T) {
	testenv.Recorded(t, "UDP unconnected, IPv4")
	testenv.Recorded(t, "UDP unconnected, IPv6")
	r := newRig(t, Sizes{})
	mapped := func(a netip.AddrPort) *unix.SockaddrInet6 {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	v4 := func(a netip.AddrPort) *unix.SockaddrInet4 {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	for _, row := range []struct {
		reason  string
		network string
		domain  int
		send    func(t *testing.T, fd int, to netip.AddrPort)
	}{
		{"sendto on an IPv4 socket", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Sendto(fd, []byte("x"), 0, v4(to)))
		}},
		{"sendto on an IPv6 socket", "udp6", unix.AF_INET6, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Sendto(fd, []byte("x"), 0, mapped(to)))
		}},
		{"sendto to an IPv4-mapped address", "udp4", unix.AF_INET6, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Sendto(fd, []byte("x"), 0, mapped(to)))
		}},
		{"connect to an IPv4-mapped address, then send", "udp4", unix.AF_INET6,
			func(t *testing.T, fd int, to netip.AddrPort) {
				check(t, unix.Connect(fd, mapped(to)))
				check(t, unix.Send(fd, []byte("x"), 0))
			}},
		{"sendmsg", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			_, err := unix.SendmsgN(fd, []byte("x"), nil, v4(to), 0)
			check(t, err)
		}},
		{"a destination that overrides connect", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}))
			check(t, unix.Sendto(fd, []byte("x"), 0, v4(to)))
		}},
		{"connect again", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}))
			check(t, unix.Connect(fd, v4(to)))
			check(t, unix.Send(fd, []byte("x"), 0))
		}},
		{"connected, after a failed call elsewhere", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Connect(fd, v4(to)))
			other := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}
			if err := unix.Sendto(fd, make([]byte, 65510), 0, other); err != unix.EMSGSIZE {
				t.Fatalf("a datagram that is too long: %v", err)
			}
			check(t, unix.Send(fd, []byte("x"), 0))
		}},
		{"behind a hop-by-hop options header", "udp6", unix.AF_INET6, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_HOPOPTS, "\x00\x00\x01\x04\x00\x00\x00\x00"))
			check(t, unix.Sendto(fd, []byte("x"), 0, mapped(to)))
		}},
		{"corked into one datagram", "udp4", unix.AF_INET, func(t *testing.T, fd int, to netip.AddrPort) {
			check(t, unix.Sendto(fd, []byte("x"), unix.MSG_MORE, v4(to)))
			check(t, unix.Sendto(fd, []byte("y"), 0, v4(to)))
		}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			to := silent(t, row.network, loopbacks[row.network])
			fd, err := unix.Socket(row.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			defer unix.Close(fd)
			r.clear()
			row.send(t, fd, to)
			if diff := cmp.Diff([]string{text(flow.UDP, to, 1)}, r.flows()); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
		})
	}
	r.mustLoseNothing()
}

func TestUDP_Sendmmsg(t *testing.T) {
	testenv.Recorded(t, "UDP, several destinations in one call")
	r := newRig(t, Sizes{})
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(t, err)
	defer c.Close()
	var messages []ipv4.Message
	var want []string
	for range 5 {
		to := silent(t, "udp4", "127.0.0.1:0")
		messages = append(messages, ipv4.Message{Buffers: [][]byte{[]byte("x")}, Addr: net.UDPAddrFromAddrPort(to)})
		want = append(want, text(flow.UDP, to, 1))
	}
	slices.Sort(want)
	r.clear()
	if n, err := ipv4.NewPacketConn(c).WriteBatch(messages, 0); err != nil || n != len(messages) {
		t.Fatalf("sendmmsg sent %d: %v", n, err)
	}
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestUDP_ConcurrentDestinations(t *testing.T) {
	r := newRig(t, Sizes{})
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(t, err)
	defer c.Close()
	const each = 200
	var want []string
	var senders sync.WaitGroup
	r.clear()
	for range 8 {
		to := silent(t, "udp4", "127.0.0.1:0")
		want = append(want, text(flow.UDP, to, each))
		senders.Go(func() {
			for range each {
				c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(to))
			}
		})
	}
	senders.Wait()
	slices.Sort(want)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestUDP_RepliesAreNoFlows(t *testing.T) {
	testenv.Recorded(t, "UDP replies of servers are not flows")
	r := newRig(t, Sizes{})
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		to := echo(t, "udp", address)
		for i := range 3 {
			r.clear()
			c, err := net.Dial("udp", to.String())
			check(t, err)
			b := make([]byte, 10)
			for range 2 {
				_, err = c.Write([]byte("x"))
				check(t, err)
				_, err = c.Read(b)
				check(t, err)
			}
			c.Close()
			want := []string{text(flow.UDP, to, 2)}
			if i > 0 { // the same flow, folded in the kernel
				want = nil
			}
			if diff := cmp.Diff(want, r.flows()); diff != "" {
				t.Errorf("client %d of %s: flows (-want +got):\n%s", i, to, diff)
			}
		}
	}
}

func TestUDP_RepliesDoNotMakeAServer(t *testing.T) {
	r := newRig(t, Sizes{})
	to := echo(t, "udp4", "127.0.0.1:0")
	c, err := net.ListenPacket("udp4", "127.0.0.1:0") // unconnected: only its traffic distinguishes it from a server
	check(t, err)
	defer c.Close()
	r.clear()
	b := make([]byte, 10)
	for range 5 {
		_, err = c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(to))
		check(t, err)
		_, _, err = c.ReadFrom(b)
		check(t, err)
	}
	if diff := cmp.Diff([]string{text(flow.UDP, to, 5)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestSockets_EarlierOnesTracked(t *testing.T) {
	testenv.Recorded(t, "sockets opened before the recording")
	to := silent(t, "udp4", "127.0.0.1:0")
	other := silent(t, "udp4", "127.0.0.1:0")
	connected, err := net.Dial("udp4", to.String())
	check(t, err)
	defer connected.Close()
	unconnected, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(t, err)
	defer unconnected.Close()
	server := echo(t, "udp4", "127.0.0.1:0")
	listener := listen(t, "tcp4", "127.0.0.1:0")

	r := newRig(t, Sizes{})
	check(t, r.TrackSockets(r.self.PID, r.leaf.ID, r.self.Netns, Initiator{PID: r.self.PID, Comm: "before"}))
	bound := make(map[netip.AddrPort]flow.Protocol)
	for _, e := range seen[*BindEvent](r) {
		if e.Comm == "before" && e.Netns == r.self.Netns {
			bound[netip.AddrPortFrom(e.Addr, e.Port)] = e.Protocol
		}
	}
	if bound[server] != flow.UDP || bound[listener] != flow.TCP {
		t.Errorf("earlier binds are %v, want UDP %s and TCP %s among them", bound, server, listener)
	}
	r.clear()
	_, err = connected.Write([]byte("x"))
	check(t, err)
	_, err = unconnected.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(other))
	check(t, err)
	client, err := net.Dial("udp4", server.String())
	check(t, err)
	defer client.Close()
	_, err = client.Write([]byte("x"))
	check(t, err)
	_, err = client.Read(make([]byte, 10))
	check(t, err)
	want := []string{text(flow.UDP, to, 1), text(flow.UDP, other, 1), text(flow.UDP, server, 1)}
	slices.Sort(want)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	for _, e := range seen[*FlowEvent](r) {
		if e.Port == to.Port() && e.Comm != "before" {
			t.Errorf("initiator of the connected socket is %q", e.Comm)
		}
		if e.Netns != r.self.Netns {
			t.Errorf("the flow to port %d belongs to network namespace %d, want %d", e.Port, e.Netns, r.self.Netns)
		}
	}
}

func TestEgress_OtherProtocols(t *testing.T) {
	r := newRig(t, Sizes{})
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	echoRequest := []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}
	for _, row := range []struct {
		capability     string
		kind, protocol int
		payload        []byte
		want           string
	}{
		{"ICMP echo", unix.SOCK_RAW, unix.IPPROTO_ICMP, echoRequest, "ICMP 127.0.0.1:8 x1"},
		{"raw sockets: protocols without ports", unix.SOCK_RAW, 253, []byte("x"), "IP/253 127.0.0.1:0 x1"},
		{"raw sockets: TCP", unix.SOCK_RAW, unix.IPPROTO_TCP,
			[]byte{0, 99, 0, 98, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 1, 0, 0, 0, 0, 0}, "TCP 127.0.0.1:98 x1"},
		{"raw sockets: SCTP", unix.SOCK_RAW, unix.IPPROTO_SCTP,
			[]byte{0, 99, 0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 4}, "SCTP 127.0.0.1:96 x1"}, // INIT
		{"UDP-Lite", unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, []byte("x"), "UDP-Lite 127.0.0.1:97 x1"},
	} {
		t.Run(row.capability, func(t *testing.T) {
			fd, err := unix.Socket(unix.AF_INET, row.kind|unix.SOCK_CLOEXEC, row.protocol)
			if err == unix.EPROTONOSUPPORT {
				testenv.Refused(t, row.capability, "the kernel does not support it")
				return
			}
			check(t, err)
			testenv.Recorded(t, row.capability)
			defer unix.Close(fd)
			to := *loopback
			if row.kind == unix.SOCK_DGRAM {
				to.Port = 97
			}
			r.clear()
			check(t, unix.Sendto(fd, row.payload, 0, &to))
			if diff := cmp.Diff([]string{row.want}, r.flows()); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
		})
	}
}
