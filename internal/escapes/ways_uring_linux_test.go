package escapes

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

var uringWays = []way{
	{name: "io_uring, TCP connect and send", want: "host:443/TCP",
		open: func(to host) error { return uringTCP(to, 0, 0) }},
	{name: "io_uring, TCP, by a worker (IOSQE_ASYNC)", want: "host:443/TCP",
		open: func(to host) error { return uringTCP(to, 0, uringAsync) }},
	{name: "io_uring, TCP, by the kernel's thread (SQPOLL)", want: "host:443/TCP", open: func(to host) error {
		return uringTCP(to, uringSetupSQPoll, 0)
	}},
	{name: "io_uring, UDP sendmsg", want: "host:8125/UDP", open: func(to host) error { return uringUDP(to, 0, 0) }},
	{name: "io_uring, UDP, by a worker (IOSQE_ASYNC)", want: "host:8125/UDP",
		open: func(to host) error { return uringUDP(to, 0, uringAsync) }},
	{name: "io_uring, UDP, by the kernel's thread (SQPOLL)", want: "host:8125/UDP", open: func(to host) error {
		return uringUDP(to, uringSetupSQPoll, 0)
	}},
}

func uringTCP(to host, setup uint32, flags uint8) error {
	return onSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error {
		u, err := newUring(setup, fd)
		if err != nil {
			return err
		}
		defer u.close()
		name := rawInet4(to.tcp4())
		_, err = u.do(uringSQE{op: uringOpConnect, flags: flags, addr: pointer(&name), offset: uint64(unsafe.Sizeof(name))})
		runtime.KeepAlive(&name)
		if err != nil {
			return fmt.Errorf("connect by io_uring: %w", err)
		}
		if _, err := u.do(uringSQE{op: uringOpSend, flags: flags, addr: pointer(&payload[0]),
			length: uint32(len(payload))}); err != nil {
			return fmt.Errorf("send by io_uring: %w", err)
		}
		return receive(fd)
	})
}

// uringSend sends on a connected socket, and waits for the echo.
func uringSend(fd int, setup uint32, flags uint8) error {
	u, err := newUring(setup, fd)
	if err != nil {
		return err
	}
	defer u.close()
	if _, err := u.do(uringSQE{op: uringOpSend, flags: flags, addr: pointer(&payload[0]),
		length: uint32(len(payload))}); err != nil {
		return fmt.Errorf("send by io_uring: %w", err)
	}
	return receive(fd)
}

func uringUDP(to host, setup uint32, flags uint8) error {
	return onSocket(unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		u, err := newUring(setup, fd)
		if err != nil {
			return err
		}
		defer u.close()
		name := rawInet4(to.udp4())
		vector := unix.Iovec{Base: &payload[0], Len: uint64(len(payload))}
		message := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&name)), Namelen: uint32(unsafe.Sizeof(name)), Iov: &vector,
			Iovlen: 1}
		_, err = u.do(uringSQE{op: uringOpSendmsg, flags: flags, addr: pointer(&message), length: 1})
		runtime.KeepAlive(&message)
		if err != nil {
			return fmt.Errorf("send by io_uring: %w", err)
		}
		return receive(fd)
	})
}

// pointer returns an address in the form that a request has. It must point to live memory on the heap, which does not
// move.
func pointer[T any](p *T) uint64 {
	heap = p
	return uint64(uintptr(unsafe.Pointer(p)))
}

// heap makes the argument of pointer escape to the heap.
var heap any
