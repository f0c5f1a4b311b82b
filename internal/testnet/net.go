package testnet

import (
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Net is the [Lab] of a test: set-up errors fail the test, and the lab closes when the test ends.
type Net struct {
	*Lab
	tb testing.TB
}

// New opens a lab for tb. Without root it skips tb, or fails it if NETZERO_TEST_REQUIRE=1 is set.
func New(tb testing.TB) *Net {
	tb.Helper()
	testenv.RequireRoot(tb)
	lab, err := Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := lab.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &Net{Lab: lab, tb: tb}
}

// Host is [Lab.Host].
func (n *Net) Host(addresses ...string) {
	n.tb.Helper()
	if err := n.Lab.Host(addresses...); err != nil {
		n.tb.Fatal(err)
	}
}

// ServeTCP is [Lab.ServeTCP].
func (n *Net) ServeTCP(address string, serve func(net.Conn)) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeTCP(address, serve))
}

// ServeUDP is [Lab.ServeUDP].
func (n *Net) ServeUDP(address string, answer func(from netip.AddrPort, datagram []byte) []byte) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeUDP(address, answer))
}

// ServeSilent is [Lab.ServeSilent].
func (n *Net) ServeSilent(address string) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeSilent(address))
}

// ServeHTTP is [Lab.ServeHTTP].
func (n *Net) ServeHTTP(address string, site http.Handler) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeHTTP(address, site))
}

// ServeTLS is [Lab.ServeTLS].
func (n *Net) ServeTLS(address string, site http.Handler, names ...string) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeTLS(address, site, names...))
}

// ServeDNS is [Lab.ServeDNS].
func (n *Net) ServeDNS(address string, zone *Zone) *Server {
	n.tb.Helper()
	return n.must(n.Lab.ServeDNS(address, zone))
}

// Run is [Lab.Run].
func (n *Net) Run(fn func()) {
	n.tb.Helper()
	if err := n.Lab.Run(func() error { fn(); return nil }); err != nil {
		n.tb.Fatal(err)
	}
}

func (n *Net) must(server *Server, err error) *Server {
	n.tb.Helper()
	if err != nil {
		n.tb.Fatal(err)
	}
	return server
}
