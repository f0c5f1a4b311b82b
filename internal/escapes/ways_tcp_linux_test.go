package escapes

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// From linux/tcp.h and linux/in.h. Package unix lacks these.
const (
	tcpFastOpenConnect  = 30
	tcpFastOpenNoCookie = 34
	protocolMPTCP       = 262
)

var tcpWays = []way{
	{name: "TCP, IPv4", want: "host:443/TCP", open: func(to host) error { return talkTCP(to.tcp4()) }},
	{name: "TCP, IPv6", want: "host:443/TCP", open: func(to host) error { return talkTCP(to.tcp6()) }},
	{name: "TCP, IPv4-mapped IPv6 address", want: "host:443/TCP", open: tcpMapped},
	{name: "TCP, refused", want: "host:444/TCP", open: tcpRefused},
	{name: "TCP, non-blocking, closed at once", want: "host:443/TCP", open: tcpNonBlocking},
	{name: "TCP, one socket for two destinations (connect to AF_UNSPEC)", want: "host:443/TCP, host:444/TCP",
		open: tcpAgain},
	{name: "TCP Fast Open, sendto with MSG_FASTOPEN", want: "host:443/TCP", open: fastOpenSend},
	{name: "TCP Fast Open, TCP_FASTOPEN_CONNECT", want: "host:443/TCP", open: fastOpenConnect},
	{name: "MPTCP", want: "host:443/TCP", capability: "way out: MPTCP", open: multipath},
	{name: "MPTCP, a further address that the peer offers", want: "203.0.113.8:443/TCP, host:443/TCP",
		capability: "way out: MPTCP, a further address that the peer offers", allowed: true, silent: true,
		open: multipathOffered},
	{name: "DNS over TCP, to any server", want: "host:53/TCP",
		open: func(to host) error { return tcpAttempt(to, 53) }},
	{name: "DNS over TLS", want: "host:853/TCP", open: func(to host) error { return tcpAttempt(to, 853) }},
}

func tcpMapped(to host) error {
	return onSocket(unix.AF_INET6, unix.SOCK_STREAM, 0, func(fd int) error {
		if err := connect(fd, mapped(to.tcp4())); err != nil {
			return err
		}
		return exchange(fd)
	})
}

func tcpRefused(to host) error { return tcpAttempt(to, 444) }

// tcpAttempt connects to a port without a listener.
func tcpAttempt(to host, port uint16) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		return refused(connect(fd, sockaddr(netip.AddrPortFrom(to.v4, port))))
	})
}

// refused turns the expected error into nil.
func refused(err error) error {
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return fmt.Errorf("want a refusal, got %w", err)
}

func tcpNonBlocking(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0, func(fd int) error {
		if err := unix.Connect(fd, sockaddr(to.tcp4())); err != nil && err != unix.EINPROGRESS {
			return err
		}
		return nil
	})
}

func tcpAgain(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.tcp4())); err != nil {
			return err
		}
		if err := disconnect(fd); err != nil {
			return err
		}
		return refused(connect(fd, sockaddr(netip.AddrPortFrom(to.v4, 444))))
	})
}

func fastOpenSend(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		if err := unix.Sendto(fd, payload, unix.MSG_FASTOPEN, sockaddr(to.tcp4())); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return receive(fd)
	})
}

// The kernel delays the connection until there is payload. Without a cookie it always does.
func fastOpenConnect(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		for _, option := range []int{tcpFastOpenConnect, tcpFastOpenNoCookie} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, 1); err != nil {
				return fmt.Errorf("set option %d: %w", option, err)
			}
		}
		if err := connect(fd, sockaddr(to.tcp4())); err != nil {
			return err
		}
		return exchange(fd)
	})
}

func multipath(to host) error {
	err := onSocket(unix.AF_INET, unix.SOCK_STREAM, protocolMPTCP, func(fd int) error {
		if err := connect(fd, sockaddr(to.tcp4())); err != nil {
			return err
		}
		return exchange(fd)
	})
	return lacks(err, unix.EINVAL)
}
