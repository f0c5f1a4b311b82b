package escapes

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The beacon sends datagrams from port 8127 of a host to beaconPort inside, and connects to dialledPort there.
const (
	beaconPort  = 9900
	dialledPort = 9901
)

// answerWays send to an initiator. A policy for egress need not allow that.
var answerWays = []way{
	{name: "answer on an accepted TCP connection", why: "the other end opened it", inside: true, open: func(host) error {
		return withListener(func(fd int) error { return accepted(fd, exchange) })
	}},
	{name: "answer on an earlier accepted TCP connection", why: "the other end opened it", inside: true,
		early: func(host) (func() error, error) {
			return acceptedEarly(exchange)
		}},
	{name: "answer of a UDP server", why: "the peer sent first, and the datagram goes back to it",
		inside: true, open: func(host) error {
			return withBeacon(func(fd int, from unix.Sockaddr) error { return sendTo(fd, payload, from) })
		}},
	{name: "UDP, connected to a peer that sent first", want: "host:8127/UDP",
		why: "the call to connect names the destination", open: peerSentFirst},
	{name: "UDP server that is also a client", want: "host:8125/UDP", open: func(to host) error {
		return withBeacon(func(fd int, from unix.Sockaddr) error {
			if err := sendTo(fd, payload, from); err != nil {
				return err
			}
			return sendTo(fd, payload, sockaddr(to.udp4()))
		})
	}},
}

// withBeacon receives one datagram of the beacon, at a socket from which use may answer.
func withBeacon(use func(fd int, from unix.Sockaddr) error) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: beaconPort}); err != nil {
			return err
		}
		for {
			_, from, err := unix.Recvfrom(fd, make([]byte, 100), 0)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return fmt.Errorf("await the beacon: %w", err)
			}
			return use(fd, from)
		}
	})
}

// peerSentFirst waits for the beacon, and then connects to it.
func peerSentFirst(host) error {
	return withBeacon(func(fd int, from unix.Sockaddr) error {
		if err := connect(fd, from); err != nil {
			return err
		}
		return send(fd, payload, 0)
	})
}

// withListener listens at the port to which the beacon connects.
func withListener(use func(fd int) error) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		if err := listenForBeacon(fd); err != nil {
			return err
		}
		return use(fd)
	})
}

func listenForBeacon(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: dialledPort}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return unix.Listen(fd, 1)
}

// accept waits for the beacon to connect.
func accept(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("accept: %w", err)
		}
		return fd, nil
	}
}

func accepted(listener int, use func(fd int) error) error {
	fd, err := accept(listener)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return use(fd)
}

// acceptedEarly accepts a connection, and closes the listener.
func acceptedEarly(use func(fd int) error) (func() error, error) {
	fd := -1
	err := withListener(func(listener int) (err error) {
		fd, err = accept(listener)
		return err
	})
	return func() error {
		defer unix.Close(fd)
		return use(fd)
	}, err
}

// beacon sends first, from a host, until the test ends.
func (r *rig) beacon(from host) {
	r.t.Helper()
	var conn *net.UDPConn
	r.check(r.lab.RunOutside(func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.v4, 8127)))
		return err
	}))
	stop := make(chan struct{})
	r.t.Cleanup(func() {
		close(stop)
		conn.Close()
	})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			// Usually no server listens there.
			_, _ = conn.WriteToUDPAddrPort(payload, netip.AddrPortFrom(insideAddress, beaconPort))
			_ = r.lab.RunOutside(func() error { return dialInside() })
		}
	}()
}

// dialInside connects to a server inside and echoes one message.
func dialInside() error {
	fd, err := newSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	short := unix.NsecToTimeval((200 * time.Millisecond).Nanoseconds()) // more connections arrive than are accepted
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &short)
	if err == nil {
		err = connect(fd, sockaddr(netip.AddrPortFrom(insideAddress, dialledPort)))
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	go func() {
		defer unix.Close(fd)
		if receive(fd) == nil {
			_ = send(fd, payload, 0)
		}
	}()
	return nil
}
