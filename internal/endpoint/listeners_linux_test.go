package endpoint

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Servers in separate processes answer with their process ids: the tables must show the one that answers.
func TestListeners_SameAsKernel(t *testing.T) {
	testenv.Recorded(t, "listening processes")
	for _, tt := range []struct {
		servers string // flags, network and host of each, all at one port
		to      string
		want    []int // indices of servers
		reason  string
	}{
		{"- tcp 127.0.0.1", "127.0.0.1", []int{0}, "exact IPv4"},
		{"- tcp 127.0.0.1", "127.0.0.2", nil, "another loopback address"},
		{"- tcp4 0.0.0.0", "127.0.0.9", []int{0}, "IPv4 wildcard"},
		{"- tcp4 0.0.0.0", "::1", nil, "an IPv4 wildcard does not serve IPv6"},
		{"- tcp4 0.0.0.0", "0.0.0.0", []int{0}, "the unspecified address is loopback"},
		{"- tcp 127.0.0.1", "0.0.0.0", []int{0}, "the unspecified address is 127.0.0.1"},
		{"- tcp ::1", "::1", []int{0}, "exact IPv6"},
		{"- tcp ::1", "127.0.0.1", nil, "exact IPv6 does not serve IPv4"},
		{"- tcp ::1", "::", []int{0}, "the unspecified IPv6 address is ::1"},
		{"- tcp6 ::", "::1", []int{0}, "an IPv6-only wildcard"},
		{"- tcp ::", "127.0.0.1", []int{0}, "a dual-stack wildcard serves IPv4"},
		{"- tcp ::", "::1", []int{0}, "and IPv6"},
		{"share tcp4 0.0.0.0, share tcp 127.0.0.1", "127.0.0.1", []int{1}, "exact before wildcard"},
		{"share tcp4 0.0.0.0, share tcp 127.0.0.1", "127.0.0.2", []int{0}, "wildcard beside exact"},
		{"- tcp 127.0.0.1, - tcp6 ::", "127.0.0.1", []int{0}, "exact IPv4 before the IPv6 wildcard"},
		{"- tcp4 0.0.0.0, - tcp6 ::", "127.0.0.1", []int{0}, "each family its own wildcard: IPv4"},
		{"- tcp4 0.0.0.0, - tcp6 ::", "::1", []int{1}, "each family its own wildcard: IPv6"},
		{"share tcp 127.0.0.1, share tcp 127.0.0.1", "127.0.0.1", []int{0, 1}, "SO_REUSEPORT"},
		{"- udp 127.0.0.1", "127.0.0.1", []int{0}, "UDP exact"},
		{"- udp4 0.0.0.0", "127.0.0.1", []int{0}, "UDP wildcard"},
		{"- udp ::1", "::1", []int{0}, "UDP IPv6"},
		{"- udp ::", "127.0.0.1", []int{0}, "UDP dual-stack"},
		{"- udp ::1", "127.0.0.1", nil, "UDP of another address"},
		{"share udp4 0.0.0.0, share udp 127.0.0.1", "127.0.0.1", []int{1}, "UDP exact before wildcard"},
		{"share udp 127.0.0.1, share udp 127.0.0.1", "127.0.0.1", []int{0, 1}, "UDP SO_REUSEPORT"},
		{"- tcp 127.0.0.1, - udp 127.0.0.1", "127.0.0.1", []int{0}, "another protocol at the same port"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			servers, port := startServers(t, tt.servers)
			network, protocol := "tcp", flow.TCP
			if strings.HasPrefix(strings.Fields(tt.servers)[1], "udp") {
				network, protocol = "udp", flow.UDP
			}
			l, err := readListeners(0)
			if err != nil {
				t.Fatal(err)
			}
			to := netip.MustParseAddr(tt.to)
			var want []Owner
			for _, i := range tt.want {
				want = append(want, Owner{servers[i].pid, "endpoint.test"})
			}
			slices.SortFunc(want, func(a, b Owner) int { return a.PID - b.PID })
			got := l.At(protocol, to, port)
			if diff := cmp.Diff(listening{Owners: want}, got); diff != "" {
				t.Errorf("listeners (-want +got):\n%s", diff)
			}
			if network == "udp" && want == nil {
				return // a missing answer proves nothing
			}
			answered := whoAnswers(t, network, to, port)
			if answered == 0 && want == nil {
				return
			}
			if !slices.ContainsFunc(want, func(o Owner) bool { return o.PID == answered }) {
				t.Errorf("process %d answers, want one of %+v", answered, want)
			}
		})
	}
}

// Go takes "tcp" with 0.0.0.0 for the wildcard of both families, hence tcp4 above.

func listen(t testing.TB, network, address string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String())
}

// file returns a descriptor of the listener, which keeps it open too.
func file(t testing.TB, l net.Listener) *os.File {
	t.Helper()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func passing(f *os.File) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{f} }
}

func TestListeners_InheritedSocket(t *testing.T) {
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	c, err := tryStart(t, testBinary(t), passing(file(t, l)), "serve", "file", "", "")
	if err != nil {
		t.Fatal(err)
	}
	both := []Owner{{os.Getpid(), "endpoint.test"}, {c.pid, "endpoint.test"}}
	slices.SortFunc(both, func(a, b Owner) int { return a.PID - b.PID })
	for _, tt := range []struct {
		likely []int
		want   []Owner
		reason string
	}{
		{nil, both, "no likely process: all processes"},
		{[]int{os.Getpid(), c.pid}, both, "both likely"},
		{[]int{c.pid}, []Owner{{c.pid, "endpoint.test"}}, "a likely owner ends the search"},
		{[]int{1 << 30}, both, "a likely process that is none"},
	} {
		listeners, err := readListeners(0)
		if err != nil {
			t.Fatal(err)
		}
		got := listeners.At(flow.TCP, addr.Addr(), addr.Port(), tt.likely...)
		if diff := cmp.Diff(listening{Owners: tt.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.reason, diff)
		}
	}
}

func TestListeners_ConnectedUDP(t *testing.T) {
	// A server that answers from a connected socket at its own port, like QUIC servers.
	servers, port := startServers(t, "share udp 127.0.0.1")
	here, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	dialer := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)),
		Control:   listenConfig(true).Control,
	}
	conn, err := dialer.Dial("udp", here.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l, err := readListeners(0)
	if err != nil {
		t.Fatal(err)
	}
	want := listening{Owners: []Owner{{servers[0].pid, "endpoint.test"}}}
	if diff := cmp.Diff(want, l.At(flow.UDP, netip.MustParseAddr("127.0.0.1"), port)); diff != "" {
		t.Errorf("an unconnected socket beside a connected one (-want +got):\n%s", diff)
	}
}

func TestListeners_Snapshot(t *testing.T) {
	before, err := readListeners(0)
	if err != nil {
		t.Fatal(err)
	}
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	if got := before.At(flow.TCP, addr.Addr(), addr.Port()); got.Owners != nil || got.Unknown {
		t.Errorf("listeners that were read before show %+v", got)
	}
	during, err := readListeners(0)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if got := during.At(flow.TCP, addr.Addr(), addr.Port()); got.Owners != nil || got.Unknown {
		t.Errorf("a listener that was closed before its owner was looked for shows %+v", got)
	}
}

func TestListeners_EndedProcess(t *testing.T) {
	_, addr := listen(t, "tcp", "127.0.0.1:0")
	l, err := readListeners(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	want := listening{Owners: []Owner{{os.Getpid(), "endpoint.test"}}}
	if diff := cmp.Diff(want, l.At(flow.TCP, addr.Addr(), addr.Port())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListeners_OtherProtocols(t *testing.T) {
	_, addr := listen(t, "tcp", "127.0.0.1:0")
	l, err := readListeners(0)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.At(flow.SCTP, addr.Addr(), addr.Port()); got.Owners != nil || got.Unknown {
		t.Errorf("SCTP at a TCP port: %+v", got)
	}
}
