package probe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A program that builds packets itself does not reply: each packet opens a flow.
func TestRawSockets_EveryPacketIsAFlow(t *testing.T) {
	r := newRig(t, Sizes{})
	ip4 := func(protocol byte, fragment uint16, to [4]byte, payload []byte) []byte {
		b := make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, protocol
		binary.BigEndian.PutUint16(b[4:], 4711)
		binary.BigEndian.PutUint16(b[6:], fragment)
		copy(b[16:], to[:])
		return append(b, payload...)
	}
	ip6 := func(next byte, payload []byte) []byte {
		b := make([]byte, 40, 40+len(payload))
		b[0], b[5], b[6], b[7], b[23], b[39] = 0x60, byte(len(payload)), next, 64, 1, 1
		return append(b, payload...)
	}
	udp := []byte{0, 99, 0, 97, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	near, far := [4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2}
	const moreFragments = 0x2000
	type row struct {
		reason   string
		v6       bool
		protocol int
		packet   []byte
		want     string
	}
	rows := []row{
		{"TCP with ACK", false, unix.IPPROTO_TCP, tcpACK, "TCP 127.0.0.1:98 x1"},
		{"TCP with SYN", false, unix.IPPROTO_TCP,
			[]byte{0, 99, 0, 98, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 1, 0, 0, 0, 0, 0}, "TCP 127.0.0.1:98 x1"},
		{"TCP with RST, IPv6", true, unix.IPPROTO_TCP,
			[]byte{0, 99, 0, 98, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x04, 1, 0, 0, 0, 0, 0}, "TCP [::1]:98 x1"},
		{"UDP", false, unix.IPPROTO_UDP, udp, "UDP 127.0.0.1:97 x1"},
		{"SCTP data", false, unix.IPPROTO_SCTP, sctpData, "SCTP 127.0.0.1:96 x1"},
		{"IGMP", false, unix.IPPROTO_IGMP, []byte{0x16, 0, 0, 0, 224, 0, 0, 9}, "IP/2 127.0.0.1:0 x1"},
		{"the program's own header", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_UDP, 0, near, udp), "UDP 127.0.0.1:97 x1"},
		{"a header with another destination than the call", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_UDP, 0, far, udp),
			"UDP 127.0.0.2:97 x1"},
		{"ICMP behind the program's own header", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_ICMP, 0, near, echoReply),
			"ICMP 127.0.0.1:0 x1"},
		{"a first fragment", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_UDP, moreFragments, near, udp), "UDP 127.0.0.1:97 x1"},
		{"another fragment", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_UDP, 2, near, udp), "IP/44 127.0.0.1:0 x1"},
		{"another fragment, of TCP", false, unix.IPPROTO_RAW, ip4(unix.IPPROTO_TCP, 2, near, udp), "IP/44 127.0.0.1:0 x1"},
		{"the program's own header, IPv6", true, unix.IPPROTO_RAW, ip6(unix.IPPROTO_UDP, udp), "UDP [::1]:97 x1"},
		{"another fragment, IPv6", true, unix.IPPROTO_RAW,
			ip6(unix.IPPROTO_FRAGMENT, append([]byte{unix.IPPROTO_UDP, 0, 0, 16, 0, 0, 0, 1}, udp...)), "IP/44 [::1]:0 x1"},
	}
	for _, kind := range []byte{0, 3, 8, 9, 10, 11, 13, 14, 15, 17, 42} {
		rows = append(rows, row{fmt.Sprintf("ICMP type %d", kind), false, unix.IPPROTO_ICMP,
			append([]byte{kind}, make([]byte, 23)...), fmt.Sprintf("ICMP 127.0.0.1:%d x1", kind)})
	}
	for _, kind := range []byte{1, 128, 129, 131, 133, 135, 136, 139, 143, 160} {
		rows = append(rows, row{fmt.Sprintf("ICMPv6 type %d", kind), true, unix.IPPROTO_ICMPV6,
			append([]byte{kind}, make([]byte, 23)...), fmt.Sprintf("ICMPv6 [::1]:%d x1", kind)})
	}
	enterNetns(t) // without connection tracking, which would reassemble fragments
	for _, row := range rows {
		domain, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: near})
		if row.v6 {
			domain, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
		}
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, row.protocol)
		check(t, err)
		_, err = r.NextGeneration()
		check(t, err)
		r.clear()
		check(t, unix.Sendto(fd, row.packet, 0, to))
		unix.Close(fd)
		if diff := cmp.Diff([]string{row.want}, r.flows()); diff != "" {
			t.Errorf("%s: flows (-want +got):\n%s", row.reason, diff)
		}
	}
	r.mustLoseNothing()
}

// If the programs cannot read whether a socket has a file, ICMP messages of the kernel's types count as the kernel's.
func TestRawSockets_RequestsOnlyWithoutLayout(t *testing.T) {
	withoutLayout(t)
	r := newRig(t, Sizes{})
	for message, want := range map[byte][]string{
		0: nil, 3: nil, 8: {"ICMP 127.0.0.1:8 x1"}, 42: {"ICMP 127.0.0.1:42 x1"},
	} {
		r.clear()
		check(t, sendICMP(netip.MustParseAddr("127.0.0.1"), append([]byte{message}, make([]byte, 23)...)))
		if diff := cmp.Diff(want, r.flows()); diff != "" {
			t.Errorf("type %d: flows (-want +got):\n%s", message, diff)
		}
	}
}

// Everything that a ping socket sends is a flow.
func TestPingSockets_AllRequestTypes(t *testing.T) {
	allowPing(t)
	r := newRig(t, Sizes{})
	for kind, want := range map[byte]string{8: "ICMP 127.0.0.1:8 x1", 42: "ICMP 127.0.0.1:42 x1"} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		check(t, err)
		r.clear()
		err = unix.Sendto(fd, append([]byte{kind}, make([]byte, 23)...), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		unix.Close(fd)
		if err == unix.EINVAL && kind == 42 { // before Linux 5.13
			continue
		}
		check(t, err)
		if diff := cmp.Diff([]string{want}, r.flows()); diff != "" {
			t.Errorf("type %d: flows (-want +got):\n%s", kind, diff)
		}
	}
}

// The kernel fragments datagrams that exceed a packet. All fragments belong to one flow, and count as one datagram.
func TestUDP_FragmentedDatagramIsOneFlow(t *testing.T) {
	r := newRig(t, Sizes{})
	enterNetns(t)
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	check(t, netlink.LinkSetMTU(lo, 1500))
	for _, address := range []string{netnsAddr4, netnsAddr6} {
		for _, connected := range []bool{true, false} {
			server, err := net.ListenPacket("udp", address)
			check(t, err)
			to := server.LocalAddr().(*net.UDPAddr)
			r.clear()
			large := make([]byte, 9000)
			if connected {
				c, err := net.DialUDP("udp", nil, to)
				check(t, err)
				_, err = c.Write(large)
				check(t, err)
				c.Close()
			} else {
				c, err := net.ListenUDP("udp", nil)
				check(t, err)
				_, err = c.WriteTo(large, to)
				check(t, err)
				c.Close()
			}
			server.Close()
			if diff := cmp.Diff([]string{text(flow.UDP, to.AddrPort(), 1)}, r.flows()); diff != "" {
				t.Errorf("connected %t: flows (-want +got):\n%s", connected, diff)
			}
		}
	}
	r.mustLoseNothing()
}
