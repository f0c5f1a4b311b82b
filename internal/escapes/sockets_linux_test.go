package escapes

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is long, because the CPUs of guests are slow.
const patience = 20 * time.Second

// payload is the content of every packet.
var payload = []byte("hello")

// onSocket makes a socket, uses it and closes it.
func onSocket(domain, kind, protocol int, use func(fd int) error) error {
	fd, err := newSocket(domain, kind, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return use(fd)
}

func newSocket(domain, kind, protocol int) (int, error) {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("make socket: %w", err)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return -1, fmt.Errorf("set time-out: %w", err)
	}
	return fd, nil
}

// sockaddr returns an address in the form that the kernel takes.
func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	return &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
}

// mapped returns an IPv4 address in the form that an IPv6 socket takes.
func mapped(to netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
}

func domainOf(to netip.AddrPort) int {
	if to.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// talkTCP connects, sends and waits for the echo.
func talkTCP(to netip.AddrPort) error {
	return onSocket(domainOf(to), unix.SOCK_STREAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to)); err != nil {
			return err
		}
		return exchange(fd)
	})
}

// talkUDP sends a datagram from a connected socket and waits for the echo.
func talkUDP(to netip.AddrPort) error {
	return onSocket(domainOf(to), unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to)); err != nil {
			return err
		}
		return exchange(fd)
	})
}

// connect connects, and retries if a signal interrupts it.
func connect(fd int, to unix.Sockaddr) error {
	err := unix.Connect(fd, to)
	for err == unix.EINTR || err == unix.EALREADY {
		err = unix.Connect(fd, to)
	}
	if err != nil && err != unix.EISCONN {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// exchange sends on a connected socket and waits for the echo.
func exchange(fd int) error {
	if err := send(fd, payload, 0); err != nil {
		return err
	}
	return receive(fd)
}

// send sends on a connected socket.
func send(fd int, b []byte, flags int) error {
	if err := unix.Send(fd, b, flags); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// receive waits for a message. It does not request the sender's address, because a tool that shows this address need
// not have seen the sent packet.
func receive(fd int) error {
	b := make([]byte, 2048)
	for {
		_, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("await the echo: %w", err)
		}
		return nil
	}
}

// sendTo sends one datagram.
func sendTo(fd int, b []byte, to unix.Sockaddr) error {
	if err := unix.Sendto(fd, b, 0, to); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// throughPipe returns the read end of a pipe that contains the payload.
func throughPipe() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	_, err = w.Write(payload)
	return r, err
}
