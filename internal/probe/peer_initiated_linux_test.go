package probe

import (
	"net"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A socket that connects to a peer opens a flow, even if the peer sent first. A reply does not.
func TestUDP_PeerInitiates(t *testing.T) {
	r := newRig(t, Sizes{})
	for _, row := range []struct {
		reason string
		kind   int
		send   func(t *testing.T, fd int, to unix.Sockaddr)
		opens  bool
	}{
		{"a reply", unix.IPPROTO_UDP, func(t *testing.T, fd int, to unix.Sockaddr) {
			check(t, unix.Sendto(fd, []byte("x"), 0, to))
		}, false},
		{"connect, then send", unix.IPPROTO_UDP, func(t *testing.T, fd int, to unix.Sockaddr) {
			check(t, unix.Connect(fd, to))
			check(t, unix.Send(fd, []byte("x"), 0))
		}, true},
		{"connect, then send, UDP-Lite", unix.IPPROTO_UDPLITE, func(t *testing.T, fd int, to unix.Sockaddr) {
			check(t, unix.Connect(fd, to))
			check(t, unix.Send(fd, []byte("x"), 0))
		}, true},
		{"connect elsewhere, then a reply", unix.IPPROTO_UDP, func(t *testing.T, fd int, to unix.Sockaddr) {
			check(t, unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}))
			check(t, unix.Sendto(fd, []byte("x"), 0, to))
		}, false},
		{"connect, disconnect, then a reply", unix.IPPROTO_UDP, func(t *testing.T, fd int, to unix.Sockaddr) {
			check(t, unix.Connect(fd, to))
			check(t, disconnect(fd))
			check(t, unix.Sendto(fd, []byte("x"), 0, to))
		}, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			open := func() (fd, port int) {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, row.kind)
				if err == unix.EPROTONOSUPPORT {
					t.Skip("the kernel has no such protocol")
				}
				check(t, err)
				t.Cleanup(func() { unix.Close(fd) })
				check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
				local, err := unix.Getsockname(fd)
				check(t, err)
				return fd, local.(*unix.SockaddrInet4).Port
			}
			local, localPort := open()
			peer, peerPort := open()
			check(t, unix.Sendto(peer, []byte("x"), 0, &unix.SockaddrInet4{Port: localPort, Addr: [4]byte{127, 0, 0, 1}}))
			_, from, err := unix.Recvfrom(local, make([]byte, 1), 0)
			check(t, err)
			r.clear()
			row.send(t, local, from)
			var want []string
			if row.opens {
				to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(peerPort))
				want = []string{text(flow.Protocol(row.kind), to, 1)}
			}
			if diff := cmp.Diff(want, r.flows()); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
		})
	}
	r.mustLoseNothing()
}

// disconnect dissolves the connection of a datagram socket.
func disconnect(fd int) error {
	address := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	return connectRaw(fd, &address)
}

// A socket that was disconnected replies to its former peer without opening a flow.
func TestUDP_ReplyAfterDisconnect(t *testing.T) {
	r := newRig(t, Sizes{})
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	defer peer.Close()
	to := peer.LocalAddr().(*net.UDPAddr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	remote := &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte{127, 0, 0, 1}}
	check(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Connect(fd, remote))
	local, err := unix.Getsockname(fd)
	check(t, err)
	check(t, disconnect(fd))
	check(t, unix.Bind(fd, local)) // disconnecting has undone the bind
	_, err = peer.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: local.(*unix.SockaddrInet4).Port})
	check(t, err)
	_, _, err = unix.Recvfrom(fd, make([]byte, 1), 0)
	check(t, err)
	r.clear()
	check(t, unix.Sendto(fd, []byte("x"), 0, remote))
	if got := r.flows(); len(got) > 0 {
		t.Errorf("flows %v", got)
	}
	other := silent(t, "udp4", "127.0.0.1:0")
	check(t, unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: int(other.Port()), Addr: other.Addr().As4()}))
	if diff := cmp.Diff([]string{text(flow.UDP, other, 1)}, r.flows()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

func connectRaw(fd int, address *unix.RawSockaddr) error {
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(address)), unsafe.Sizeof(*address))
	if errno != 0 {
		return errno
	}
	return nil
}
