package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// servers are the listeners in a namespace, at all of its addresses.
type servers struct {
	namespace *namespace

	mu      sync.Mutex
	closers map[string]interface{ Close() error } // by protocol and address
}

func newServers(ns *namespace) *servers {
	return &servers{namespace: ns, closers: make(map[string]interface{ Close() error })}
}

// Serve serves a port from now on: it accepts connections, or answers each datagram. It does nothing if the port is
// already served.
func (p *Pod) Serve(protocol corev1.Protocol, port uint16) error {
	return p.servers.serve(protocol, netip.AddrPortFrom(netip.Addr{}, port), p.Namespace+"/"+p.Name)
}

// ServeInternet does the same at an address of the internet.
func (c *Cluster) ServeInternet(protocol corev1.Protocol, at netip.AddrPort) error {
	return c.internet.servers.serve(protocol, at, c.internet.Name)
}

// serve serves at an address, or at all addresses of the namespace if addr is the zero value.
func (s *servers) serve(protocol corev1.Protocol, at netip.AddrPort, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := at.String()
	if !at.Addr().IsValid() {
		address = fmt.Sprintf(":%d", at.Port())
	}
	key := fmt.Sprintf("%s %s", protocol, address)
	if s.closers[key] != nil {
		return nil
	}
	return s.namespace.do(func() error {
		switch protocol {
		case corev1.ProtocolTCP:
			listener, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			s.closers[key] = listener
			go greet(listener, name)
		case corev1.ProtocolUDP:
			conn, err := net.ListenPacket("udp", address)
			if err != nil {
				return err
			}
			s.closers[key] = conn
			go reply(conn, name)
		default:
			return fmt.Errorf("serve at %s: traffic of %s is not made here", address, protocol)
		}
		return nil
	})
}

// add adds a closer to the servers.
func (s *servers) add(key string, c interface{ Close() error }) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers[key] = c
}

func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.closers {
		_ = c.Close() // it only listened
	}
	clear(s.closers)
}

func greet(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		_, _ = fmt.Fprintln(conn, name) // a client that hung up does not need the answer
		_ = conn.Close()
	}
}

func reply(conn net.PacketConn, name string) {
	buffer := make([]byte, 2048)
	for {
		_, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		_, _ = conn.WriteTo([]byte(name), from)
	}
}
