package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve listens and answers every client with the process id. Flags: "lo" brings the loopback interface up first,
// "share" sets SO_REUSEPORT, "file" uses the listener that the parent passed.
func serve(flags, network, address string) (string, error) {
	if strings.Contains(flags, "lo") {
		if err := raiseLoopback(); err != nil {
			return "", err
		}
	}
	if strings.Contains(flags, "file") {
		l, err := net.FileListener(os.NewFile(3, "inherited"))
		if err != nil {
			return "", err
		}
		go answer(l)
		return l.Addr().String(), nil
	}
	c := listenConfig(strings.Contains(flags, "share"))
	pid := []byte(strconv.Itoa(os.Getpid()))
	if strings.HasPrefix(network, "udp") {
		conn, err := c.ListenPacket(context.Background(), network, address)
		if err != nil {
			return "", err
		}
		go func() {
			buf := make([]byte, 64)
			for {
				_, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				conn.WriteTo(pid, from)
			}
		}()
		return conn.LocalAddr().String(), nil
	}
	l, err := c.Listen(context.Background(), network, address)
	if err != nil {
		return "", err
	}
	go answer(l)
	return l.Addr().String(), nil
}

func answer(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, os.Getpid())
		conn.Close()
	}
}

func listenConfig(share bool) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if share {
			c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		}
		return err
	}}
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifreq.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifreq)
}

// startServers starts the servers at one port that the first of them chooses.
func startServers(t *testing.T, servers string) ([]child, uint16) {
	t.Helper()
	var err error
	for range 10 { // the port may be in use at the other addresses
		var started []child
		port := "0"
		for s := range strings.SplitSeq(servers, ", ") {
			f := strings.Fields(s)
			var c child
			c, err = tryStart(t, testBinary(t), func(*exec.Cmd) {}, "serve", f[0], f[1], net.JoinHostPort(f[2], port))
			if err != nil {
				break
			}
			started = append(started, c)
			port = strconv.Itoa(int(netip.MustParseAddrPort(c.line).Port()))
		}
		if err == nil {
			n, _ := strconv.Atoi(port)
			return started, uint16(n)
		}
		for _, c := range started {
			c.stop()
		}
	}
	t.Fatal(err)
	return nil, 0
}

// whoAnswers returns the process that the kernel connects to; 0 for none.
func whoAnswers(t *testing.T, network string, addr netip.Addr, port uint16) int {
	t.Helper()
	conn, err := net.DialTimeout(network, netip.AddrPortFrom(addr, port).String(), 5*time.Second)
	if err != nil {
		return 0
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	var text []byte
	if network == "udp" {
		buf := make([]byte, 64)
		if _, err := conn.Write([]byte("who?")); err != nil {
			return 0
		}
		n, err := conn.Read(buf)
		if err != nil {
			return 0
		}
		text = buf[:n]
	} else if text, err = io.ReadAll(conn); err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
