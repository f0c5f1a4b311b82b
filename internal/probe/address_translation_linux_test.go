package probe

import (
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The network namespace translates one destination address to another one.
func TestTranslation_DestinationIsTheNamedOne(t *testing.T) {
	testenv.RequireCommand(t, "iptables", "iptables")
	testenv.RequireCommand(t, "ip", "iproute2")
	r := newRig(t, Sizes{})
	translate(t, map[string]string{"127.0.0.2": "127.0.0.3"})
	server, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(server)
	check(t, unix.Bind(server, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 3}}))

	named := &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 2}}
	want := text(flow.UDP, netip.MustParseAddrPort("127.0.0.2:99"), 2)
	for _, row := range []struct {
		reason string
		send   func(fd int)
	}{
		{"connected", func(fd int) {
			check(t, unix.Connect(fd, named))
			check(t, unix.Send(fd, []byte("x"), 0))
		}},
		{"unconnected", func(fd int) { check(t, unix.Sendto(fd, []byte("x"), 0, named)) }},
	} {
		_, err := r.NextGeneration()
		check(t, err)
		r.clear()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		check(t, err)
		defer unix.Close(fd)
		for range 2 { // the second time, the peer has replied
			row.send(fd)
			b := make([]byte, 10)
			_, from, err := unix.Recvfrom(server, b, 0)
			check(t, err)
			check(t, unix.Sendto(server, b, 0, from))
			_, from, err = unix.Recvfrom(fd, b, 0)
			check(t, err)
			if got := from.(*unix.SockaddrInet4).Addr; got != named.Addr {
				t.Fatalf("%s: the reply comes from %v: nothing was translated", row.reason, got)
			}
		}
		if diff := cmp.Diff([]string{want}, r.flows()); diff != "" {
			t.Errorf("%s: flows (-want +got):\n%s", row.reason, diff)
		}
	}
	if i := slices.IndexFunc(seen[*FlowEvent](r), func(e *FlowEvent) bool { return e.Netns == r.self.Netns }); i >= 0 {
		t.Error("the flow seems to be in the namespace of the process")
	}
}

// translate moves the test's goroutine into a network namespace of its own until the test ends. Its kernel translates
// some destination addresses to others.
func translate(t *testing.T, addresses map[string]string) {
	t.Helper()
	testenv.RequireCommand(t, "iptables", "iptables")
	testenv.RequireCommand(t, "ip", "iproute2")
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	commands := [][]string{{"ip", "link", "set", "lo", "up"}}
	for named, to := range addresses {
		commands = append(commands,
			[]string{"iptables", "-w", "-t", "nat", "-A", "OUTPUT", "-d", named, "-j", "DNAT", "--to-destination", to})
	}
	for _, args := range commands {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// serveAt returns a socket bound to port 99 of an address.
func serveAt(t *testing.T, address [4]byte) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Port: 99, Addr: address}))
	return fd
}

// Two threads send from one socket at the same time. The packets do not contain the named destinations.
func TestTranslation_ThreadsShareSocket(t *testing.T) {
	requireSender(t)
	r := newRig(t, Sizes{})
	translate(t, map[string]string{"127.0.0.2": "127.0.0.3", "127.0.0.4": "127.0.0.5"})
	serveAt(t, [4]byte{127, 0, 0, 3})
	serveAt(t, [4]byte{127, 0, 0, 5})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Bind(fd, &unix.SockaddrInet4{}))
	r.clear()
	const each = 3000
	var want []string
	var senders sync.WaitGroup
	errs := make(chan error, 2)
	for _, last := range []byte{2, 4} {
		named := &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, last}}
		want = append(want, text(flow.UDP, netip.AddrPortFrom(netip.AddrFrom4(named.Addr), 99), each))
		senders.Go(func() {
			runtime.LockOSThread() // the thread is in the socket's namespace
			defer runtime.UnlockOSThread()
			for range each {
				if err := unix.Sendto(fd, []byte("x"), 0, named); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	senders.Wait()
	close(errs)
	check(t, <-errs)
	if diff := cmp.Diff(want, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

// A thread names a destination, another thread names another one, and then the datagram of the first thread leaves.
func TestTranslation_OvertakenThread(t *testing.T) {
	requireSender(t)
	r := newRig(t, Sizes{})
	translate(t, map[string]string{"127.0.0.2": "127.0.0.3", "127.0.0.4": "127.0.0.5"})
	serveAt(t, [4]byte{127, 0, 0, 3})
	serveAt(t, [4]byte{127, 0, 0, 5})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	r.clear()
	leave := sendLate(t, fd, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 2}})
	check(t, unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 4}}))
	if diff := cmp.Diff([]string{"UDP 127.0.0.4:99 x1"}, r.flows()); diff != "" {
		t.Errorf("before the first datagram has left: flows (-want +got):\n%s", diff)
	}
	leave()
	if diff := cmp.Diff([]string{"UDP 127.0.0.2:99 x1", "UDP 127.0.0.4:99 x1"}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

// The SYN has another destination than its connect, which reported the flow.
func TestTranslation_ConnectReportedOnce(t *testing.T) {
	for name, protocol := range map[string]int{"TCP": 0, "MPTCP": ipprotoMPTCP} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Sizes{})
			translate(t, map[string]string{"127.0.0.2": "127.0.0.3"})
			server, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			defer unix.Close(server)
			check(t, unix.Bind(server, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 3}}))
			check(t, unix.Listen(server, 1))
			r.clear()
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
			if err == unix.EINVAL || err == unix.EPROTONOSUPPORT || err == unix.ENOPROTOOPT {
				t.Skip("the kernel has no MPTCP, or it is switched off")
			}
			check(t, err)
			defer unix.Close(fd)
			check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 2}}))
			if diff := cmp.Diff([]string{"TCP 127.0.0.2:99 x1"}, r.flows()); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
		})
	}
}

// A call may name a destination and fail. The next datagram goes to another one.
func TestTranslation_FailedCalls(t *testing.T) {
	const a, b = "UDP 127.0.0.2:99 x1", "UDP 127.0.0.4:99 x1"
	tooLong := make([]byte, 65510)
	first := &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 2}}
	second := &unix.SockaddrInet4{Port: 99, Addr: [4]byte{127, 0, 0, 4}}
	for _, row := range []struct {
		reason       string
		send         func(t *testing.T, fd int)
		want         []string
		withoutNames []string // if threads are not distinguished
	}{
		{"another destination is named", func(t *testing.T, fd int) {
			if err := unix.Sendto(fd, tooLong, 0, first); err != unix.EMSGSIZE {
				t.Fatalf("a datagram that is too long: %v", err)
			}
			check(t, unix.Sendto(fd, []byte("x"), 0, second))
		}, []string{b}, []string{a, b}},
		{"the socket is connected", func(t *testing.T, fd int) {
			check(t, unix.Connect(fd, second))
			if err := unix.Sendto(fd, tooLong, 0, first); err != unix.EMSGSIZE {
				t.Fatalf("a datagram that is too long: %v", err)
			}
			check(t, unix.Send(fd, []byte("x"), 0))
		}, []string{a, b}, []string{a, b}}, // one too many, but none too few
		{"another socket is connected", func(t *testing.T, fd int) {
			if err := unix.Sendto(fd, tooLong, 0, first); err != unix.EMSGSIZE {
				t.Fatalf("a datagram that is too long: %v", err)
			}
			other, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			check(t, err)
			defer unix.Close(other)
			check(t, unix.Connect(other, second))
			check(t, unix.Send(other, []byte("x"), 0))
		}, []string{b}, []string{b}},
		{"both are named, one after the other", func(t *testing.T, fd int) {
			check(t, unix.Sendto(fd, []byte("x"), 0, first))
			check(t, unix.Sendto(fd, []byte("x"), 0, second))
		}, []string{a, b}, []string{a, b}},
		{"corked for one, then another is named", func(t *testing.T, fd int) {
			check(t, unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_CORK, 1))
			check(t, unix.Sendto(fd, []byte("x"), 0, first))
			check(t, unix.Sendto(fd, []byte("x"), 0, second)) // goes to the first
			check(t, unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_CORK, 0))
		}, []string{a}, []string{a}},
	} {
		for name, prepare := range map[string]func(*testing.T){"threads": requireSender, "no threads": withoutLayout} {
			t.Run(row.reason+", "+name, func(t *testing.T) {
				prepare(t)
				r := newRig(t, Sizes{})
				translate(t, map[string]string{"127.0.0.2": "127.0.0.3", "127.0.0.4": "127.0.0.5"})
				serveAt(t, [4]byte{127, 0, 0, 3})
				serveAt(t, [4]byte{127, 0, 0, 5})
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				check(t, err)
				defer unix.Close(fd)
				r.clear()
				row.send(t, fd)
				want := row.want
				if name == "no threads" {
					want = row.withoutNames
				}
				if diff := cmp.Diff(want, r.flows()); diff != "" {
					t.Errorf("flows (-want +got):\n%s", diff)
				}
				r.mustLoseNothing()
			})
		}
	}
}
