package escapes

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nameUnknown is the message for a connection to an external address if the lookup of its name may have happened before
// the process recorded anything.
const nameUnknown = "was opened outside this recording and used in it, and the name that was looked up for it is not " +
	"known"

// connectedBefore is why Enforce does not refuse payload on a TCP connection.
const connectedBefore = "it was connected before"

// earlierWays send on sockets that are older than the recording.
var earlierWays = []way{
	{name: "earlier TCP connection", want: viaTCP, failure: nameUnknown, passes: connectedBefore,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp4()), exchange)
		}},
	{name: "earlier TCP connection, IPv6", want: viaTCP, failure: nameUnknown, passes: connectedBefore,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp6()), exchange)
		}},
	{name: "earlier TCP connection, sendfile", want: viaTCP, failure: nameUnknown, passes: connectedBefore,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp4()), sendFile)
		}},
	{name: "earlier TCP connection, io_uring", want: viaTCP, failure: nameUnknown, passes: connectedBefore,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp4()), func(fd int) error { return uringSend(fd, 0, 0) })
		}},
	{name: "earlier TCP connection, used by a child", want: viaTCP, failure: nameUnknown, passes: connectedBefore,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp4()), func(fd int) error { return giveToChild(fd, to) })
		}},
	{name: "earlier TCP connection, unused", why: "nothing is sent but its end", inside: true,
		early: func(to host) (func() error, error) {
			return earlySocket(unix.SOCK_STREAM, 0, sockaddr(to.tcp4()), func(int) error { return nil })
		}},
	{name: "earlier TCP socket, connected during the recording", want: viaTCP, early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_STREAM, 0, nil, func(fd int) error {
			if err := connect(fd, sockaddr(to.tcp4())); err != nil {
				return err
			}
			return exchange(fd)
		})
	}},
	{name: "earlier UDP socket, connected", want: "host:8125/UDP", early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_DGRAM, 0, sockaddr(to.udp4()), exchange)
	}},
	{name: "earlier UDP socket, connected and used", want: "host:8125/UDP",
		early: func(to host) (func() error, error) {
			fd, err := newSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err == nil {
				err = connect(fd, sockaddr(to.udp4()))
			}
			if err == nil {
				err = exchange(fd)
			}
			return func() error {
				defer unix.Close(fd)
				return exchange(fd)
			}, err
		}},
	{name: "earlier UDP socket, unconnected", want: "host:8125/UDP", early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_DGRAM, 0, nil, func(fd int) error { return sendTo(fd, payload, sockaddr(to.udp4())) })
	}},
	{name: "earlier raw socket", want: "host/ICMP echo request", early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_RAW, unix.IPPROTO_ICMP, nil, func(fd int) error {
			return sendTo(fd, echoMessage(8), &unix.SockaddrInet4{Addr: to.v4.As4()})
		})
	}},
	{name: "earlier raw socket, TCP SYN", want: viaTCP, early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_RAW, unix.IPPROTO_TCP, nil, func(fd int) error {
			return sendTo(fd, tcpSegment(to, flagSYN), &unix.SockaddrInet4{Addr: to.v4.As4()})
		})
	}},
	{name: "earlier ping socket", want: "host/ICMP echo request", early: func(to host) (func() error, error) {
		return earlySocket(unix.SOCK_DGRAM, unix.IPPROTO_ICMP, nil, func(fd int) error {
			return sendTo(fd, echoMessage(8), &unix.SockaddrInet4{Addr: to.v4.As4()})
		})
	}},
}

// earlySocket makes a socket, and connects it if there is an address. use runs during the recording.
func earlySocket(kind, protocol int, to unix.Sockaddr, use func(fd int) error) (func() error, error) {
	domain := unix.AF_INET
	if _, six := to.(*unix.SockaddrInet6); six {
		domain = unix.AF_INET6
	}
	fd, err := newSocket(domain, kind, protocol)
	if err != nil {
		return nil, err
	}
	if to != nil {
		if err := connect(fd, to); err != nil {
			return nil, err
		}
	}
	return func() error {
		defer unix.Close(fd)
		return use(fd)
	}, nil
}

func giveToChild(fd int, to host) error {
	copied, err := unix.Dup(fd)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(copied), "connection")
	defer file.Close()
	cmd := self("use descriptor 3", to)
	cmd.ExtraFiles = []*os.File{file}
	return run(cmd)
}

// passedWays send on sockets from an unrecorded process.
var passedWays = []way{
	{name: "UDP socket of an unrelated process, connected (SCM_RIGHTS)", want: "host:8125/UDP",
		open: func(to host) error { return passedSocket("udp", to, exchange) }},
	{name: "UDP socket of an unrelated process, unconnected (SCM_RIGHTS)", want: "host:8125/UDP",
		open: func(to host) error {
			return passedSocket("udp unconnected", to, func(fd int) error { return sendTo(fd, payload, sockaddr(to.udp4())) })
		}},
	{name: "TCP connection of an unrelated process (SCM_RIGHTS)", want: viaTCP, failure: nameUnknown,
		passes: connectedBefore, open: func(to host) error { return passedSocket("tcp", to, exchange) }},
	{name: "TCP socket of an unrelated process, unconnected (SCM_RIGHTS)", want: viaTCP, open: func(to host) error {
		return passedSocket("tcp unconnected", to, func(fd int) error {
			if err := connect(fd, sockaddr(to.tcp4())); err != nil {
				return err
			}
			return exchange(fd)
		})
	}},
	{name: "raw socket of an unrelated process (SCM_RIGHTS)", want: "host/ICMP echo request", open: func(to host) error {
		return passedSocket("raw", to,
			func(fd int) error { return sendTo(fd, echoMessage(8), &unix.SockaddrInet4{Addr: to.v4.As4()}) })
	}},
	{name: "UDP socket of an unrelated process, connected (pidfd_getfd)", want: "host:8125/UDP", open: takenSocket},
	{name: "UDP socket of a child (SCM_RIGHTS)", want: "host:8125/UDP",
		open: func(to host) error { return fromChild(to) }},
}

func init() {
	children["use descriptor 3"] = func(host) error { return exchange(3) }
	children["lend"] = func(to host) error {
		fd, err := newSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = connect(fd, sockaddr(to.udp4()))
		}
		if err != nil {
			return err
		}
		return unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0)
	}
}

// fromChild uses a socket after the child that made, connected and passed it has ended.
func fromChild(to host) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "lender")
	defer theirs.Close()
	cmd := self("lend", to)
	cmd.ExtraFiles = []*os.File{theirs}
	if err := run(cmd); err != nil {
		return err
	}
	return takeAndUse(pair[0], exchange)
}

// passedSocket uses a socket that the lender passes.
func passedSocket(what string, to host, use func(fd int) error) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: os.Getenv(lenderVariable), Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s %s\n", to.v4, what); err != nil {
		return err
	}
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	return takeAndUse(int(file.Fd()), use)
}

// takenSocket uses a socket of the lender that the lender does not pass.
func takenSocket(to host) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: os.Getenv(lenderVariable), Net: "unix"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s keep\n", to.v4); err != nil {
		return err
	}
	var pid, theirs int
	if _, err := fmt.Fscan(conn, &pid, &theirs); err != nil {
		return fmt.Errorf("ask lender: %w", err)
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, theirs, 0)
	if err != nil {
		return fmt.Errorf("take descriptor %d of process %d: %w", theirs, pid, err)
	}
	defer unix.Close(fd)
	return exchange(fd)
}

// takeAndUse uses a socket that it receives over a Unix socket.
func takeAndUse(unixSocket int, use func(fd int) error) error {
	b, rights := make([]byte, 1), make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(unixSocket, b, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return fmt.Errorf("take socket: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("take socket: %d messages, %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return fmt.Errorf("take socket: %w", err)
	}
	defer unix.Close(fds[0])
	return use(fds[0])
}

// lend serves sockets from this process. It makes them inside of the lab.
func (r *rig) lend() {
	r.t.Helper()
	r.lender = filepath.Join(r.t.TempDir(), "lender")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.lender, Net: "unix"})
	r.check(err)
	r.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if err := r.lendOne(conn); err != nil {
					fmt.Fprintln(os.Stderr, "lend socket:", err) // makes the row fail
				}
			}()
		}
	}()
}

func (r *rig) lendOne(conn *net.UnixConn) error {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	address, what, _ := strings.Cut(strings.TrimSpace(line), " ")
	v4, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	to := host{v4: v4}
	if what == "send" {
		err := r.lab.Lab.Run(func() error { return udpSendTo(to.udp4()) })
		fmt.Fprintln(conn, err)
		return err
	}
	fd := -1
	err = r.lab.Lab.Run(func() (err error) {
		switch what {
		case "udp", "keep", "udp unconnected":
			fd, err = newSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		case "tcp", "tcp unconnected":
			fd, err = newSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
		case "raw":
			fd, err = newSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		default:
			err = fmt.Errorf("unknown socket %q", what)
		}
		switch {
		case err != nil:
		case what == "udp" || what == "keep":
			err = connect(fd, sockaddr(to.udp4()))
		case what == "tcp":
			err = connect(fd, sockaddr(to.tcp4()))
		}
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if what == "keep" { // until the other end closes
		fmt.Fprintln(conn, os.Getpid(), fd)
		_, _ = conn.Read(make([]byte, 1))
		return nil
	}
	_, _, err = conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil)
	return err
}
