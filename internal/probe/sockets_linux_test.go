package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A socketKind is a kind of socket other than a stream, with a message for 127.0.0.1.
type socketKind struct {
	name           string
	kind, protocol int
	port           int // of connect; 0: unconnected
	message        []byte
	want           string // the flow
}

var (
	echoRequest = []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}
	echoReply   = []byte{0, 0, 0xff, 0xfd, 0, 1, 0, 1}
	tcpACK      = []byte{0, 99, 0, 98, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0}
	sctpData    = []byte{0, 99, 0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4}
)

var socketKinds = []socketKind{
	{"udp", unix.SOCK_DGRAM, unix.IPPROTO_UDP, 93, []byte("x"), "UDP 127.0.0.1:93 x1"},
	{"udp-lite", unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, 94, []byte("x"), "UDP-Lite 127.0.0.1:94 x1"},
	{"ping", unix.SOCK_DGRAM, unix.IPPROTO_ICMP, 0, echoRequest, "ICMP 127.0.0.1:8 x1"},
	{"raw-icmp", unix.SOCK_RAW, unix.IPPROTO_ICMP, 0, echoReply, "ICMP 127.0.0.1:0 x1"},
	{"raw-tcp", unix.SOCK_RAW, unix.IPPROTO_TCP, 0, tcpACK, "TCP 127.0.0.1:98 x1"},
	{"raw-other", unix.SOCK_RAW, 253, 0, []byte("x"), "IP/253 127.0.0.1:0 x1"},
}

// open creates the socket, and connects it if port is set. ok is false if the kernel has no such socket.
func (k socketKind) open() (fd int, ok bool, err error) {
	fd, err = unix.Socket(unix.AF_INET, k.kind|unix.SOCK_CLOEXEC, k.protocol)
	if err == unix.EPROTONOSUPPORT || err == unix.EACCES && k.name == "ping" { // net.ipv4.ping_group_range
		return -1, false, nil
	}
	if err == nil && k.port != 0 {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: k.port, Addr: [4]byte{127, 0, 0, 1}})
	}
	return fd, true, err
}

func (k socketKind) send(t *testing.T, fd int) {
	t.Helper()
	if k.port != 0 {
		check(t, unix.Send(fd, k.message, 0))
		return
	}
	check(t, unix.Sendto(fd, k.message, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
}

// allowPing allows ping sockets for all users in the thread's network namespace.
func allowPing(t *testing.T) {
	t.Helper()
	const file = "/proc/sys/net/ipv4/ping_group_range"
	before, err := os.ReadFile(file)
	check(t, err)
	check(t, os.WriteFile(file, []byte("0 2147483647"), 0))
	t.Cleanup(func() { check(t, os.WriteFile(file, before, 0)) })
}

// give passes a socket of the kind through descriptor 3.
func give(name string) error {
	i := slices.IndexFunc(socketKinds, func(k socketKind) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("no kind of socket %q", name)
	}
	fd, ok, err := socketKinds[i].open()
	if err != nil {
		return err
	}
	var rights []byte
	if ok {
		rights = unix.UnixRights(fd)
	}
	return unix.Sendmsg(3, []byte("x"), rights, nil, 0)
}

// given receives a socket from a child in the cgroup. ok is false if the kernel has no such socket.
func (g group) given(kind string) (fd int, ok bool) {
	g.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(g.t, err)
	defer unix.Close(pair[0])
	cmd, done := g.command([]string{"give " + kind})
	defer done()
	far := os.NewFile(uintptr(pair[1]), "far")
	cmd.ExtraFiles = []*os.File{far}
	err = cmd.Run()
	far.Close()
	check(g.t, err)
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	check(g.t, err)
	if n == 0 {
		return -1, false
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	check(g.t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	check(g.t, err)
	g.t.Cleanup(func() { unix.Close(fds[0]) })
	return fds[0], true
}

// take connects a socket that it receives through descriptor 3.
func take(to netip.AddrPort) error {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(3, make([]byte, 1), rights, 0)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	return unix.Connect(fds[0], &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
}

// A process out of scope connects a socket of this process: no connect in scope reports it.
func TestSYN_WithoutConnectIsAFlow(t *testing.T) {
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	to := listen(t, "tcp4", "127.0.0.1:0")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(pair[0])
	far := os.NewFile(uintptr(pair[1]), "far")
	defer far.Close()
	check(t, unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(fd), nil, 0))
	cmd, done := r.sibling("others").command([]string{"take " + to.String()})
	defer done()
	cmd.ExtraFiles = []*os.File{far}
	r.clear()
	check(t, cmd.Run())
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

// Earlier calls of a thread must not hide its next SYN without a connect.
func TestSYN_AfterOtherCalls(t *testing.T) {
	multipath := func(t *testing.T) int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, ipprotoMPTCP)
		if err == unix.EINVAL || err == unix.EPROTONOSUPPORT || err == unix.ENOPROTOOPT {
			t.Skip("the kernel has no MPTCP, or it is switched off")
		}
		check(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	for _, row := range []struct {
		reason string
		before func(t *testing.T, to *unix.SockaddrInet4)
	}{
		{reason: "nothing"},
		{reason: "a datagram to the same address", before: func(t *testing.T, to *unix.SockaddrInet4) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			defer unix.Close(fd)
			check(t, unix.Sendto(fd, []byte("x"), 0, to))
		}},
		{reason: "a connection to the same address by MPTCP", before: func(t *testing.T, to *unix.SockaddrInet4) {
			check(t, unix.Connect(multipath(t), to))
		}},
		{reason: "a connect by MPTCP that sent nothing", before: func(t *testing.T, _ *unix.SockaddrInet4) {
			err := unix.Connect(multipath(t), &unix.SockaddrInet4{Port: 9, Addr: [4]byte{198, 51, 100, 1}})
			if err != unix.ENETUNREACH {
				t.Fatalf("connect without a route: %v", err)
			}
		}},
	} {
		t.Run(row.reason, func(t *testing.T) { oneSYNIsAFlow(t, row.before, nil) })
	}
}

func TestSYN_RetransmissionIsOneFlow(t *testing.T) {
	testenv.RequireCommand(t, "iptables", "iptables")
	oneSYNIsAFlow(t, func(t *testing.T, to *unix.SockaddrInet4) {
		check(t, run("iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", fmt.Sprint(to.Port), "-j", "DROP"))
	}, func(t *testing.T, fd int) {
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			check(t, err)
			if info.Total_retrans > 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the SYN is not retransmitted")
			}
		}
	})
}

// oneSYNIsAFlow sends a SYN on a socket that a process out of scope connected, between before and after.
func oneSYNIsAFlow(t *testing.T, before func(t *testing.T, to *unix.SockaddrInet4), after func(t *testing.T, fd int)) {
	t.Helper()
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	enterNetns(t)
	to := listen(t, "tcp4", "127.0.0.1:0")
	fd := r.connectedByOthers(to)
	if before != nil {
		before(t, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	_, err := r.NextGeneration()
	check(t, err)
	r.clear()
	if err := unix.Sendto(fd, []byte("x"), unix.MSG_DONTWAIT, nil); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	if after != nil {
		after(t, fd)
	}
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

// The SYN was in an earlier generation: the payload reports the flow again.
func TestSYN_ReportedAgainInNextGeneration(t *testing.T) {
	requireSender(t)
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	to := netip.MustParseAddrPort(listenForever(t))
	fd := r.connectedByOthers(to)
	for range 3 {
		r.clear()
		for range 2 {
			_, err := unix.Write(fd, []byte("x"))
			check(t, err)
		}
		if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
			t.Fatalf("flows (-want +got):\n%s", diff)
		}
		_, err := r.NextGeneration()
		check(t, err)
	}
	r.mustLoseNothing()
}

// connectedByOthers returns a socket that a process out of scope connected. Its SYN leaves with the first payload.
func (r *rig) connectedByOthers(to netip.AddrPort) int {
	r.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(r.t, err)
	r.t.Cleanup(func() { unix.Close(fd) })
	check(r.t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1))
	check(r.t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_NO_COOKIE, 1))
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(r.t, err)
	defer unix.Close(pair[0])
	far := os.NewFile(uintptr(pair[1]), "far")
	defer far.Close()
	check(r.t, unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(fd), nil, 0))
	cmd, done := r.sibling("others").command([]string{"take " + to.String()})
	defer done()
	cmd.ExtraFiles = []*os.File{far}
	r.clear()
	check(r.t, cmd.Run())
	if got := r.flows(); len(got) > 0 {
		r.t.Fatalf("the SYN left with the connect: %v", got)
	}
	return fd
}

// The SYN may leave long after the connect, which reported the flow.
func TestSYN_DeferredReportedOnce(t *testing.T) {
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1))
	r.clear()
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	_, err = unix.Write(fd, []byte("x"))
	check(t, err)
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

// withoutLayout makes the probe load the programs as on a kernel without BTF.
func withoutLayout(t *testing.T) {
	before := taskLayout
	taskLayout = func() (layout, error) {
		return layout{unnamed: noBTF, attribution: attribution{unattributed: noBTF}}, nil
	}
	t.Cleanup(func() { taskLayout = before })
}

// requireSender fails the test if the programs cannot read the sender. All kernels under test can.
func requireSender(t *testing.T) {
	t.Helper()
	l, err := taskLayout()
	check(t, err)
	if l.Pid == 0 {
		t.Fatal("the programs cannot read the sender")
	}
}

// A process out of scope creates the sockets, and this process sends.
func TestSockets_BelongToSender(t *testing.T) {
	requireSender(t)
	allowPing(t)
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	others := r.sibling("others")
	for _, kind := range socketKinds {
		t.Run(kind.name, func(t *testing.T) {
			fd, ok := others.given(kind.name)
			if !ok {
				t.Skip("the kernel has no such socket")
			}
			r.clear()
			kind.send(t, fd)
			if diff := cmp.Diff([]string{kind.want}, r.flows()); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
			for _, e := range seen[*FlowEvent](r) {
				if e.Cgroup != r.leaf.ID {
					t.Errorf("the flow belongs to cgroup %d, want %d", e.Cgroup, r.leaf.ID)
				}
			}
		})
	}
	r.mustLoseNothing()
}

// A process that only creates sockets and passes them on opens no flow. The sender may be out of scope.
func TestSockets_UnrelatedOutOfScope(t *testing.T) {
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	others := r.sibling("others")
	r.clear()
	others.run("udp-connected 127.0.0.1:93", "udp 127.0.0.1:94", "ping 127.0.0.1", "pong 127.0.0.1")
	if got := r.flows(); len(got) > 0 {
		t.Errorf("flows %v", got)
	}
}

// The sender is unrelated, but its socket was created in scope.
func TestSockets_UnrelatedSenderOnScopedSocket(t *testing.T) {
	r := newRig(t, Sizes{})
	r.untrackDescendants()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	check(t, err)
	socket := os.NewFile(uintptr(fd), "socket")
	defer socket.Close()
	cmd, done := r.sibling("others").command([]string{"reply 127.0.0.1"})
	defer done()
	cmd.ExtraFiles = []*os.File{socket}
	check(t, unix.Sendto(fd, echoRequest, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	r.clear()
	check(t, cmd.Run())
	check(t, unix.Sendto(fd, echoRequest, 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if diff := cmp.Diff([]string{"ICMP 127.0.0.1:0 x1"}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	for _, e := range seen[*FlowEvent](r) {
		if e.Cgroup != r.leaf.ID {
			t.Errorf("the flow belongs to cgroup %d, want %d", e.Cgroup, r.leaf.ID)
		}
	}
}

func TestSockets_EarlierRawAndPing(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T){"by sender": requireSender, "tracked": withoutLayout} {
		t.Run(name, func(t *testing.T) {
			prepare(t)
			allowPing(t)
			fds := make(map[string]int)
			for _, kind := range socketKinds {
				fd, ok, err := kind.open()
				check(t, err)
				if ok {
					fds[kind.name] = fd
					t.Cleanup(func() { unix.Close(fd) })
				}
			}
			r := newRig(t, Sizes{})
			if name == "tracked" {
				check(t, r.TrackSockets(r.self.PID, r.leaf.ID, r.self.Netns, Initiator{PID: r.self.PID}))
			}
			for _, kind := range socketKinds {
				fd, ok := fds[kind.name]
				if !ok {
					continue
				}
				r.clear()
				kind.send(t, fd)
				if diff := cmp.Diff([]string{kind.want}, r.flows()); diff != "" {
					t.Errorf("%s: flows (-want +got):\n%s", kind.name, diff)
				}
			}
			r.mustLoseNothing()
		})
	}
}

// haveKernelSend makes the kernel of a new network namespace look for neighbours, routers and duplicate addresses. The
// kernel's sockets there belong to this process's cgroup.
func haveKernelSend() error {
	runtime.LockOSThread() // this thread is in the namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	return connectLinks()
}

// connectLinks creates two connected links, and waits until their addresses are proven unique. The kernel of a guest
// has no such links; loopback stands in.
func connectLinks() error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "near"
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "far"})
	if errors.Is(err, unix.EOPNOTSUPP) {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("make links: %w", err)
	}
	for _, name := range []string{"lo", "near", "far"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("make links: %w", err)
		}
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ready := 0
		addresses, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
				ready++
			}
		}
		if ready == 2 {
			return nil
		}
	}
	return fmt.Errorf("make links: their addresses stay tentative")
}

// The kernel's own sockets for ICMP and TCP are raw sockets of the cgroup that created the network namespace.
func TestSockets_KernelTrafficIsNoFlow(t *testing.T) {
	r := newRig(t, Sizes{})
	enterNetns(t)
	r.clear()
	check(t, connectLinks())
	if got := r.flows(); len(got) > 0 {
		t.Errorf("flows of new links: %v", got)
	}
	var want []string
	for network, address := range map[string]string{"tcp4": "198.18.0.1:1", "tcp6": "[2001:db8::1]:1"} {
		if _, err := net.Dial(network, address); err == nil {
			t.Fatalf("another server listens at %s", address)
		}
		want = append(want, "TCP "+address+" x1")
	}
	for network, address := range map[string]string{"udp4": "198.18.0.1:1", "udp6": "[2001:db8::1]:1"} {
		c, err := net.Dial(network, address)
		check(t, err)
		_, err = c.Write([]byte("x"))
		check(t, err)
		if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("reading from %s: %v", address, err)
		}
		c.Close()
		want = append(want, "UDP "+address+" x1")
	}
	ping := func(domain, protocol int, kind byte, to unix.Sockaddr) {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		check(t, err)
		defer unix.Close(fd)
		check(t, unix.Sendto(fd, append([]byte{kind}, make([]byte, 23)...), 0, to))
	}
	ping(unix.AF_INET, unix.IPPROTO_ICMP, 13, &unix.SockaddrInet4{Addr: [4]byte{198, 18, 0, 1}})
	ping(unix.AF_INET6, unix.IPPROTO_ICMPV6, 128, &unix.SockaddrInet6{Addr: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}})
	want = append(want, "ICMP 198.18.0.1:13 x1", "ICMPv6 [2001:db8::1]:128 x1")
	slices.Sort(want)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	for _, e := range seen[*FlowEvent](r) {
		if e.Netns == r.self.Netns || e.Netns == 0 {
			t.Errorf("%s: the flow seems to be in namespace %d", e.Protocol, e.Netns)
		}
	}
	r.mustLoseNothing()
}
