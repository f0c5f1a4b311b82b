package escapes

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	udpCork    = 1
	udpSegment = 103
)

var udpWays = []way{
	{name: "UDP, connected, IPv4", want: "host:8125/UDP", open: func(to host) error { return talkUDP(to.udp4()) }},
	{name: "UDP, connected, IPv6", want: "host:8125/UDP", open: func(to host) error { return talkUDP(to.udp6()) }},
	{name: "UDP, sendto, IPv4", want: "host:8125/UDP", open: func(to host) error { return udpSendTo(to.udp4()) }},
	{name: "UDP, sendto, IPv6", want: "host:8125/UDP", open: func(to host) error { return udpSendTo(to.udp6()) }},
	{name: "UDP, IPv4-mapped IPv6 address", want: "host:8125/UDP", open: udpMapped},
	{name: "UDP, sendmsg", want: "host:8125/UDP", open: udpSendmsg},
	{name: "UDP, sendmmsg to two ports", want: "host:8125/UDP, host:8126/UDP", open: udpSendmmsg},
	{name: "UDP, sendto elsewhere on a connected socket", want: "host:8125/UDP, host:8126/UDP", open: udpElsewhere},
	{name: "UDP, segments (UDP_SEGMENT)", want: "host:8125/UDP", open: udpSegments},
	{name: "UDP, corked (UDP_CORK)", want: "host:8125/UDP", silent: true, open: udpCorked},
	{name: "UDP, corked (MSG_MORE), unconnected", want: "host:8125/UDP", open: udpMore},
	{name: "UDP, splice", want: "host:8125/UDP", open: udpSplice},
	{name: "UDP, sendfile", want: "host:8125/UDP", open: udpSendfile},
	{name: "UDP, without copying (MSG_ZEROCOPY)", want: "host:8125/UDP", open: udpZeroCopy},
	{name: "UDP, write on a duplicate", want: "host:8125/UDP", open: udpWrite},
	{name: "UDP, asynchronous I/O (io_submit)", want: "host:8125/UDP", open: udpAIO},
	{name: "UDP, broadcast", want: "255.255.255.255:8125/UDP", open: udpBroadcast},
	{name: "UDP, multicast", want: "239.7.7.7:8125/UDP", open: udpMulticast},
	{name: "UDP, multicast, IPv6", want: "[ff15::777]:8125/UDP", open: udpMulticast6},
	{name: "DNS query to any server", want: "a.test:*, host:53/UDP", open: func(to host) error {
		return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
			return sendTo(fd, question, sockaddr(netip.AddrPortFrom(to.v4, 53)))
		})
	}},
	{name: "UDP 443, as QUIC does", want: "host:443/UDP", open: func(to host) error {
		return udpSendTo(netip.AddrPortFrom(to.v4, 443))
	}},
}

// question is a DNS query for the IPv4 address of a.test.
var question = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01")

func udpSendTo(to netip.AddrPort) error {
	return onSocket(domainOf(to), unix.SOCK_DGRAM, 0, func(fd int) error { return sendTo(fd, payload, sockaddr(to)) })
}

func udpMapped(to host) error {
	return onSocket(unix.AF_INET6, unix.SOCK_DGRAM, 0,
		func(fd int) error { return sendTo(fd, payload, mapped(to.udp4())) })
}

func udpSendmsg(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		_, err := unix.SendmsgN(fd, payload, nil, sockaddr(to.udp4()), 0)
		return err
	})
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func udpSendmmsg(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		var messages [2]mmsghdr
		var names [2]unix.RawSockaddrInet4
		vector := unix.Iovec{Base: &payload[0], Len: uint64(len(payload))}
		for i := range messages {
			names[i] = rawInet4(netip.AddrPortFrom(to.v4, 8125+uint16(i)))
			messages[i].header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&names[i])), Namelen: uint32(unsafe.Sizeof(names[i])),
				Iov: &vector, Iovlen: 1}
		}
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), 2, 0, 0, 0)
		if errno != 0 || n != 2 {
			return fmt.Errorf("send %d of 2 messages: %w", n, errno)
		}
		return nil
	})
}

// rawInet4 returns struct sockaddr_in.
func rawInet4(to netip.AddrPort) unix.RawSockaddrInet4 {
	port := to.Port()
	return unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4(), Port: port<<8 | port>>8}
}

func udpElsewhere(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		if err := exchange(fd); err != nil {
			return err
		}
		return sendTo(fd, payload, sockaddr(netip.AddrPortFrom(to.v4, 8126)))
	})
}

func udpSegments(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment, 1000); err != nil {
			return fmt.Errorf("set UDP_SEGMENT: %w", err)
		}
		return sendTo(fd, make([]byte, 3000), sockaddr(to.udp4()))
	})
}

func udpCorked(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpCork, 1); err != nil {
			return fmt.Errorf("set UDP_CORK: %w", err)
		}
		for range 2 {
			if err := send(fd, payload, 0); err != nil {
				return err
			}
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpCork, 0); err != nil {
			return fmt.Errorf("take UDP_CORK off: %w", err)
		}
		return receive(fd)
	})
}

func udpMore(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		for _, flags := range []int{unix.MSG_MORE, 0} {
			if err := unix.Sendto(fd, payload, flags, sockaddr(to.udp4())); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		}
		return receive(fd)
	})
}

func udpSplice(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		pipe, err := throughPipe()
		if err != nil {
			return err
		}
		defer pipe.Close()
		if _, err := unix.Splice(int(pipe.Fd()), nil, fd, nil, len(payload), 0); err != nil {
			return fmt.Errorf("splice: %w", err)
		}
		return receive(fd)
	})
}

func udpSendfile(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		return sendFile(fd)
	})
}

// sendFile sends a file on a connected socket, and waits for the echo.
func sendFile(fd int) error {
	file, err := os.CreateTemp("", "escapes-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(payload); err != nil {
		return err
	}
	var start int64
	if _, err := unix.Sendfile(fd, int(file.Fd()), &start, len(payload)); err != nil {
		return fmt.Errorf("send file: %w", err)
	}
	return receive(fd)
}

func udpWrite(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		second, err := unix.Dup(fd)
		if err != nil {
			return err
		}
		defer unix.Close(second)
		if _, err := unix.Write(second, payload); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return receive(fd)
	})
}

func udpZeroCopy(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
			return fmt.Errorf("set SO_ZEROCOPY: %w", err)
		}
		if err := unix.Sendto(fd, payload, unix.MSG_ZEROCOPY, sockaddr(to.udp4())); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return receive(fd)
	})
}

// iocb is struct iocb of linux/aio_abi.h.
type iocb struct {
	_             uint64 // data
	_, _          uint32 // key, rw_flags
	op, _         uint16 // priority
	fd            uint32
	buffer, bytes uint64
	_             int64 // offset
	_             uint64
	_, _          uint32 // flags, event
}

// ioEvent is struct io_event of linux/aio_abi.h.
type ioEvent struct {
	_, _   uint64 // data, request
	result int64
	_      int64
}

func udpAIO(to host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := connect(fd, sockaddr(to.udp4())); err != nil {
			return err
		}
		var queue uintptr
		if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&queue)), 0); errno != 0 {
			return lacks(fmt.Errorf("set up asynchronous I/O: %w", errno))
		}
		defer unix.Syscall(unix.SYS_IO_DESTROY, queue, 0, 0)
		const write = 1
		request := &iocb{op: write, fd: uint32(fd), buffer: pointer(&payload[0]), bytes: uint64(len(payload))}
		if _, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, queue, 1, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("submit: %w", errno)
		}
		var event ioEvent
		if _, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, queue, 1, 1, uintptr(unsafe.Pointer(&event)), 0,
			0); errno != 0 {
			return fmt.Errorf("await the request: %w", errno)
		}
		if event.result < 0 {
			return fmt.Errorf("send: %w", unix.Errno(-event.result))
		}
		return receive(fd)
	})
}

func udpMulticast6(host) error {
	return onSocket(unix.AF_INET6, unix.SOCK_DGRAM, 0, func(fd int) error {
		device, err := insideDevice()
		if err != nil {
			return err
		}
		return sendTo(fd, payload,
			&unix.SockaddrInet6{Addr: netip.MustParseAddr("ff15::777").As16(), Port: 8125, ZoneId: uint32(device.Index)})
	})
}

// onDevice binds a socket to the interface with the inside address.
func onDevice(fd int) error {
	device, err := insideDevice()
	if err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, device.Name); err != nil {
		return fmt.Errorf("bind to %s: %w", device.Name, err)
	}
	return nil
}

func udpBroadcast(host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
			return fmt.Errorf("set SO_BROADCAST: %w", err)
		}
		if err := onDevice(fd); err != nil {
			return err
		}
		return sendTo(fd, payload, &unix.SockaddrInet4{Addr: [4]byte{255, 255, 255, 255}, Port: 8125})
	})
}

func udpMulticast(host) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := onDevice(fd); err != nil {
			return err
		}
		return sendTo(fd, payload, &unix.SockaddrInet4{Addr: [4]byte{239, 7, 7, 7}, Port: 8125})
	})
}

// disconnect removes a socket's association (connect to AF_UNSPEC).
func disconnect(fd int) error {
	address := syscall.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	if errno != 0 {
		return fmt.Errorf("disconnect: %w", errno)
	}
	return nil
}
