package probe

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestTCP_ConnectionsFold(t *testing.T) {
	testenv.Recorded(t, "TCP connect, IPv4")
	testenv.Recorded(t, "TCP connect, IPv6")
	r := newRig(t, Sizes{})
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		r.clear()
		to := listen(t, "tcp", address)
		for range 100 {
			c, err := net.Dial("tcp", to.String())
			check(t, err)
			c.Close()
		}
		if diff := cmp.Diff([]string{text(flow.TCP, to, 100)}, r.flows()); diff != "" {
			t.Errorf("flows (-want +got):\n%s", diff)
		}
	}
	e := seen[*FlowEvent](r)[0]
	if e.PID != r.self.PID || e.Cgroup != r.leaf.ID || e.Netns != r.self.Netns || e.Comm == "" || e.Time == 0 {
		t.Errorf("event %+v is not of this process (%+v)", e, r.self)
	}
	r.mustLoseNothing()
}

func TestTCP_RefusedAttemptIsAFlow(t *testing.T) {
	testenv.Recorded(t, "TCP connect, refused by the peer")
	r := newRig(t, Sizes{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	to := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	r.clear()
	if _, err := net.Dial("tcp", to.String()); err == nil {
		t.Fatal("another server listens there")
	}
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestTCP_MappedIPv4Address(t *testing.T) {
	testenv.Recorded(t, "TCP connect, IPv4-mapped IPv6 address")
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	r.clear()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}))
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestTCP_FastOpen(t *testing.T) {
	testenv.Recorded(t, "TCP Fast Open")
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	r.clear()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	remote := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	check(t, unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, remote))
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestMPTCP_IsTCP(t *testing.T) {
	const mptcp = 262
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, mptcp)
	const capability = "MPTCP"
	switch err {
	case unix.EINVAL, unix.EPROTONOSUPPORT:
		testenv.Refused(t, capability, "the kernel does not support it")
		return
	case unix.ENOPROTOOPT:
		testenv.Refused(t, capability, "it is switched off (net.mptcp.enabled)")
		return
	}
	check(t, err)
	testenv.Recorded(t, capability)
	defer unix.Close(fd)
	r.clear()
	check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	if diff := cmp.Diff([]string{text(flow.TCP, to, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestBinds_Reported(t *testing.T) {
	testenv.Recorded(t, "binds are reported with their process")
	r := newRig(t, Sizes{})
	tcp := listen(t, "tcp4", "127.0.0.1:0")
	udp := silent(t, "udp6", "[::1]:0")
	bound := make(map[Key]int)
	for _, e := range seen[*BindEvent](r) {
		bound[e.Key] = e.PID
	}
	for protocol, local := range map[flow.Protocol]netip.AddrPort{flow.TCP: tcp, flow.UDP: udp} {
		key := Key{Cgroup: r.leaf.ID, Netns: r.self.Netns, Addr: local.Addr(), Port: local.Port(), Protocol: protocol}
		if pid := bound[key]; pid != os.Getpid() {
			t.Errorf("bind to %s %s is by process %d, want %d; all: %v", protocol, local, pid, os.Getpid(), bound)
		}
	}
}

func TestGeneration_MakesFlowsNew(t *testing.T) {
	r := newRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0")
	dial := func() {
		c, err := net.Dial("tcp", to.String())
		check(t, err)
		c.Close()
	}
	dial()
	generation, err := r.NextGeneration()
	check(t, err)
	r.clear()
	dial()
	dial()
	events := seen[*FlowEvent](r)
	if len(events) != 1 || events[0].Generation != generation {
		t.Errorf("got %d events (%+v), want one of generation %d", len(events), events, generation)
	}
	if diff := cmp.Diff([]string{text(flow.TCP, to, 2)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func TestBinds_SuccessiveServersDoNotFold(t *testing.T) {
	r := newRig(t, Sizes{})
	first, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	address := first.Addr().String()
	dial := func() {
		c, err := net.Dial("tcp", address)
		check(t, err)
		c.Close()
	}
	dial()
	first.Close()
	second, err := net.Listen("tcp4", address)
	check(t, err)
	defer second.Close()
	r.clear()
	dial()
	dial()
	if events := seen[*FlowEvent](r); len(events) != 1 {
		t.Errorf("after another bind got %d events, want 1", len(events))
	}
}

func TestInvalidate_FlowIsNewAgain(t *testing.T) {
	testenv.Recorded(t, "repeated flows are deduplicated and counted")
	r := newRig(t, Sizes{})
	for range 2 {
		r.clear()
		for range 3 {
			net.Dial("tcp", "127.0.0.1:1")
		}
		events := seen[*FlowEvent](r)
		if len(events) != 1 {
			t.Fatalf("got %d events, want 1", len(events))
		}
		if n, err := r.Invalidate(events[0].Key); n != 3 || err != nil {
			t.Errorf("Invalidate returns %d, %v", n, err)
		}
	}
	if _, err := r.Invalidate(Key{Addr: netip.MustParseAddr("192.0.2.1")}); !errors.Is(err, ErrNoFlow) {
		t.Error("Invalidate of an unknown flow is no error")
	}
}
