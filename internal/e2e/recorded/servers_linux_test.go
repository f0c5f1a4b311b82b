package recorded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// withServers calls use while n sockets of this process listen at one address. The kernel chooses the socket of each
// connection.
func withServers(address string, n int, use func() error) error {
	for range n {
		listener, err := listenShared(address)
		if err != nil {
			return err
		}
		defer listener.Close()
		go serve(listener)
	}
	return use()
}

// withChildServer calls use while a child listens at an address.
func withChildServer(address string, use func() error) (err error) {
	child := self(asServer, atVariable+"="+address)
	child.Stderr = os.Stderr
	life, err := child.StdinPipe()
	if err != nil {
		return err
	}
	says, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, life.Close(), child.Wait()) }()
	if _, err := bufio.NewReader(says).ReadString('\n'); err != nil {
		return fmt.Errorf("await server: %w", err)
	}
	return use()
}

// serveUntilClosed is the main function of the child of withChildServer. It serves until its standard input ends.
func serveUntilClosed(address string) error {
	listener, err := listenShared(address)
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(listener)
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// listenShared listens at an address at which other sockets may listen too (SO_REUSEPORT).
func listenShared(address string) (net.Listener, error) {
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(controlErr, err)
	}}
	return share.Listen(context.Background(), "tcp", address)
}

// serve echoes until the listener is closed.
func serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

// echoDatagrams echoes until the socket is closed.
func echoDatagrams(conn net.PacketConn) {
	b := make([]byte, 100)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		conn.WriteTo(b[:n], from)
	}
}
