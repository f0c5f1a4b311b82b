package escapes

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	protocolGRE     = 47
	protocolSCTP    = 132
	protocolUDPLite = 136
	protocolOwn     = 253 // for experiments, by RFC 3692
)

const (
	flagSYN = 0x02
	flagACK = 0x10
)

var rawWays = []way{
	{name: "raw socket, TCP SYN", want: "host:443/TCP", open: func(to host) error { return rawTCP(to, flagSYN) }},
	{name: "raw socket, TCP without SYN", want: "host:443/TCP", open: func(to host) error { return rawTCP(to, flagACK) }},
	{name: "raw socket, UDP", want: "host:8125/UDP", open: func(to host) error {
		return sendRaw(unix.IPPROTO_UDP, udpPacket(8125), to)
	}},
	{name: "raw socket, SCTP", want: "host:443/SCTP", open: func(to host) error {
		return sendRaw(protocolSCTP, sctpInit(443), to)
	}},
	{name: "raw socket, GRE", want: "host/IP/47",
		open: func(to host) error { return sendRaw(protocolGRE, make([]byte, 8), to) }},
	{name: "raw socket, experimental protocol", want: "host/IP/253", open: func(to host) error {
		return sendRaw(protocolOwn, payload, to)
	}},
	{name: "raw socket, whole packet (IP_HDRINCL)", want: "host:8125/UDP", open: func(to host) error {
		return sendRaw(unix.IPPROTO_RAW, ipPacket(to, unix.IPPROTO_UDP, 0, udpPacket(8125)), to)
	}},
	{name: "raw socket, first fragment", want: "host:8125/UDP", partial: true, open: func(to host) error {
		const moreFragments = 0x2000
		return sendRaw(unix.IPPROTO_RAW, ipPacket(to, unix.IPPROTO_UDP, moreFragments, udpPacket(8125)), to)
	}},
	{name: "raw socket, later fragment", want: "host/IP/44", why: "a fragment; the ports are in the first one",
		open: func(to host) error {
			return sendRaw(unix.IPPROTO_RAW, ipPacket(to, unix.IPPROTO_UDP, 1, udpPacket(8125)), to)
		}},
	{name: "raw socket, connected", want: "host/IP/253", open: rawConnected},
	{name: "ICMP echo request, raw socket", want: "host/ICMP echo request", open: func(to host) error {
		return sendRaw(unix.IPPROTO_ICMP, echoMessage(8), to)
	}},
	{name: "ICMP echo reply, raw socket", want: "host/ICMP", open: func(to host) error {
		return sendRaw(unix.IPPROTO_ICMP, echoMessage(0), to)
	}},
	{name: "ICMP timestamp request, raw socket", want: "host/ICMP timestamp request", open: func(to host) error {
		return sendRaw(unix.IPPROTO_ICMP, append(echoMessage(13), make([]byte, 12)...), to)
	}},
	{name: "ICMP echo request, ping socket", want: "host/ICMP echo request", open: ping},
	{name: "ICMPv6 echo request, raw socket", want: "host/ICMPv6 echo request", open: func(to host) error {
		return onSocket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, func(fd int) error {
			return sendTo(fd, echoMessage(128), &unix.SockaddrInet6{Addr: to.v6.As16()})
		})
	}},
	{name: "ICMPv6 echo request, ping socket", want: "host/ICMPv6 echo request", silent: true, open: func(to host) error {
		return onSocket(unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6, func(fd int) error {
			return sendTo(fd, echoMessage(128), &unix.SockaddrInet6{Addr: to.v6.As16()})
		})
	}},
	{name: "SCTP", want: "host:443/SCTP", capability: "way out: SCTP", open: func(to host) error {
		err := onSocket(unix.AF_INET, unix.SOCK_STREAM, protocolSCTP, func(fd int) error {
			return refused(connect(fd, sockaddr(to.tcp4())))
		})
		return lacks(err)
	}},
	{name: "UDP-Lite", want: "host/UDP-Lite", capability: "way out: UDP-Lite", open: func(to host) error {
		err := onSocket(unix.AF_INET, unix.SOCK_DGRAM, protocolUDPLite, func(fd int) error {
			return sendTo(fd, payload, sockaddr(to.udp4()))
		})
		return lacks(err)
	}},
}

// sendRaw sends one packet from a raw socket.
func sendRaw(protocol int, packet []byte, to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_RAW, protocol, func(fd int) error {
		return sendTo(fd, packet, &unix.SockaddrInet4{Addr: to.v4.As4()})
	})
}

func rawTCP(to host, flags byte) error { return sendRaw(unix.IPPROTO_TCP, tcpSegment(to, flags), to) }

func rawConnected(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_RAW, protocolOwn, func(fd int) error {
		if err := connect(fd, &unix.SockaddrInet4{Addr: to.v4.As4()}); err != nil {
			return err
		}
		return send(fd, payload, 0)
	})
}

func ping(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, func(fd int) error {
		if err := sendTo(fd, echoMessage(8), &unix.SockaddrInet4{Addr: to.v4.As4()}); err != nil {
			return err
		}
		return receive(fd)
	})
}

// tcpSegment returns a TCP header without payload, from port 40000 to port 443.
func tcpSegment(to host, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[2:], 443)
	b[12], b[13] = 5<<4, flags
	binary.BigEndian.PutUint16(b[14:], 1024)
	from, at := insideAddress.As4(), to.v4.As4()
	pseudo := append(append(append([]byte{}, from[:]...), at[:]...), 0, unix.IPPROTO_TCP, 0, byte(len(b)))
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	return b
}

// udpPacket returns a UDP header with payload, without a checksum.
func udpPacket(port uint16) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[2:], port)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return append(b, payload...)
}

// sctpInit returns an SCTP packet with an INIT chunk and a wrong checksum.
func sctpInit(port uint16) []byte {
	b := make([]byte, 32)
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[2:], port)
	b[12], b[15] = 1, 20
	return b
}

// ipPacket returns an IPv4 packet.
func ipPacket(to host, protocol byte, fragment uint16, content []byte) []byte {
	b := make([]byte, 20, 20+len(content))
	b[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(content)))
	binary.BigEndian.PutUint16(b[4:], 4711)
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = 64, protocol
	from, at := insideAddress.As4(), to.v4.As4()
	copy(b[12:], from[:])
	copy(b[16:], at[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, content...)
}

// echoMessage returns an ICMP echo request or reply of a type.
func echoMessage(kind byte) []byte {
	b := []byte{kind, 0, 0, 0, 0, 1, 0, 1}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// checksum returns the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// rawFrame returns an Ethernet frame with an IPv4 packet.
func rawFrame(destination, source []byte, packet []byte) ([]byte, error) {
	if len(destination) == 0 { // lo has no addresses
		destination, source = make([]byte, 6), make([]byte, 6)
	}
	if len(destination) != 6 || len(source) != 6 {
		return nil, fmt.Errorf("hardware addresses %x and %x", destination, source)
	}
	frame := append(append([]byte{}, destination...), source...)
	return append(append(frame, 0x08, 0x00), packet...), nil
}
