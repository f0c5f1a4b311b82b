package testnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one server of the outside.
type Server struct {
	address netip.AddrPort
	used    atomic.Int64
	wait    sync.WaitGroup

	mu     sync.Mutex
	open   map[io.Closer]bool // sockets
	closed bool
}

// Address returns the address at which the server listens; the port is never 0.
func (s *Server) Address() netip.AddrPort { return s.address }

// Used returns the number of accepted connections and received datagrams.
func (s *Server) Used() int { return int(s.used.Load()) }

// Close stops the server: its port refuses from now on, and open connections end. It waits for the functions that serve
// them. [Lab.Close] closes all servers.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var errs []error
	for socket := range s.open {
		stopListening(socket)
		if err := socket.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	clear(s.open)
	s.mu.Unlock()
	s.wait.Wait()
	return errors.Join(errs...)
}

// stopListening closes a listener's port for good. Closing the socket is not enough: a process that is being started
// elsewhere has a copy of it until it executes its program, slightly longer than the fork lock is held.
func stopListening(socket io.Closer) {
	l, ok := socket.(*net.TCPListener)
	if !ok {
		return
	}
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = shutdownRead(fd) })
	}
}

// keep registers a socket with the server. If the server was closed meanwhile, it closes the socket and reports false.
func (s *Server) keep(socket io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		socket.Close()
		return false
	}
	s.open[socket] = true
	return true
}

func (s *Server) release(socket io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, socket)
	socket.Close()
}

// listen adds a server with sockets from open. The address becomes a host's if it is not one yet.
func (l *Lab) listen(address string, open func(*Server, netip.AddrPort) error) (*Server, error) {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("serve at %s: %w", address, err)
	}
	if err := l.addHost(where.Addr()); err != nil {
		return nil, fmt.Errorf("serve at %s: %w", address, err)
	}
	server := &Server{address: where, open: map[io.Closer]bool{}}
	// A socket stays in the namespace of the thread that created it.
	err = l.wire.outside(func() error { return open(server, where) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve at %s: %w", address, err), server.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = append(l.servers, server)
	return server, nil
}

// ServeTCP listens at address ("203.0.113.7:443") and calls serve for every connection, each on its own goroutine. The
// connection is closed when serve returns. A nil serve echoes.
func (l *Lab) ServeTCP(address string, serve func(net.Conn)) (*Server, error) {
	if serve == nil {
		serve = func(conn net.Conn) { io.Copy(conn, conn) }
	}
	return l.listen(address, func(s *Server, where netip.AddrPort) error {
		listener, err := s.listenTCP(where)
		if err != nil {
			return err
		}
		s.wait.Go(func() { s.accept(listener, serve) })
		return nil
	})
}

// ServeUDP listens at address and sends back the result of answer for a datagram, unless it is nil. A nil answer
// function echoes.
func (l *Lab) ServeUDP(address string, answer func(from netip.AddrPort, datagram []byte) []byte) (*Server, error) {
	if answer == nil {
		answer = func(_ netip.AddrPort, datagram []byte) []byte { return datagram }
	}
	return l.listen(address, func(s *Server, where netip.AddrPort) error {
		conn, err := s.listenUDP(where)
		if err != nil {
			return err
		}
		s.wait.Go(func() { s.receive(conn, answer) })
		return nil
	})
}

// ServeSilent listens at address over TCP and UDP, accepts every connection and every datagram, and never sends
// anything.
func (l *Lab) ServeSilent(address string) (*Server, error) {
	return l.listen(address, func(s *Server, where netip.AddrPort) error {
		return s.serveBoth(where,
			func(conn net.Conn) { io.Copy(io.Discard, conn) },
			func(netip.AddrPort, []byte) []byte { return nil })
	})
}

// serveBoth serves one port over TCP and UDP.
func (s *Server) serveBoth(where netip.AddrPort, serve func(net.Conn),
	answer func(netip.AddrPort, []byte) []byte) error {
	listener, err := s.listenTCP(where)
	if err != nil {
		return err
	}
	conn, err := s.listenUDP(s.address)
	if err != nil {
		return err
	}
	s.wait.Go(func() { s.accept(listener, serve) })
	s.wait.Go(func() { s.receive(conn, answer) })
	return nil
}

func (s *Server) listenTCP(where netip.AddrPort) (*net.TCPListener, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(where))
	if err != nil {
		return nil, err
	}
	s.keep(listener)
	s.address = listener.Addr().(*net.TCPAddr).AddrPort()
	return listener, nil
}

func (s *Server) listenUDP(where netip.AddrPort) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(where))
	if err != nil {
		return nil, err
	}
	s.keep(conn)
	s.address = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return conn, nil
}

func (s *Server) accept(listener net.Listener, serve func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // for example out of descriptors
			continue
		}
		s.used.Add(1)
		if !s.keep(conn) {
			return
		}
		s.wait.Go(func() {
			defer s.release(conn)
			serve(conn)
		})
	}
}

func (s *Server) receive(conn *net.UDPConn, answer func(netip.AddrPort, []byte) []byte) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error for an earlier answer
		}
		s.used.Add(1)
		if reply := answer(from, buffer[:n]); reply != nil {
			// The client may be gone, which is not an error of this server.
			conn.WriteToUDPAddrPort(reply, from)
		}
	}
}
