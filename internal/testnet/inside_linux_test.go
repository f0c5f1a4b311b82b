package testnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// internet is a lab with one of everything.
func internet(tb testing.TB) (*Net, *Zone) {
	lab := New(tb)
	lab.Host("203.0.113.8", "2001:db8::8")
	zone := MustZone(
		"api.pay.test A 203.0.113.7",
		"api.pay.test AAAA 2001:db8::7",
		"www.pay.test CNAME api.pay.test",
		"cache.lab.test A 198.51.100.9",
	)
	for _, host := range []string{"203.0.113.7", "[2001:db8::7]", "198.51.100.9"} {
		lab.ServeTCP(host+":5432", nil)
		lab.ServeUDP(host+":9999", nil)
	}
	lab.ServeTLS("203.0.113.7:443", nil, "api.pay.test", "www.pay.test")
	lab.ServeTLS("[2001:db8::7]:443", nil, "api.pay.test", "www.pay.test")
	lab.ServeHTTP("203.0.113.7:80", nil)
	lab.ServeSilent("203.0.113.9:1000")
	lab.ServeDNS("203.0.113.53:53", zone)
	lab.Search("lab.test")
	return lab, zone
}

func TestLab_Addresses(t *testing.T) {
	t.Parallel()
	lab, _ := internet(t)
	for _, tt := range []struct{ network, address, want, reason string }{
		{"tcp", "203.0.113.7:5432", "hello", "a server answers"},
		{"tcp", "198.51.100.9:5432", "hello", "the second range is routed"},
		{"tcp", "[2001:db8::7]:5432", "hello", "a server answers over IPv6"},
		{"udp", "203.0.113.7:9999", "hello", "a server answers over UDP"},
		{"udp", "[2001:db8::7]:9999", "hello", "a server answers over UDP and IPv6"},
		{"tcp", "api.pay.test:5432", "hello", "a name leads there"},
		{"tcp", "cache:5432", "hello", "a name of the search list leads there"},
		{"tcp", "203.0.113.7:5433", "refused", "the host has no server there"},
		{"tcp", "203.0.113.8:5432", "refused", "the host has no server at all"},
		{"tcp", "[2001:db8::8]:5432", "refused", "the host has no server at all"},
		{"udp", "203.0.113.8:9999", "refused", "ICMP port unreachable"},
		{"udp", "[2001:db8::8]:9999", "refused", "ICMPv6 port unreachable"},
		{"tcp", "203.0.113.99:5432", "timeout", "no host has the address"},
		{"tcp", "[2001:db8::99]:5432", "timeout", "no host has the address"},
		{"udp", "203.0.113.99:9999", "timeout", "no host has the address"},
		{"tcp", "203.0.113.9:1000", "timeout", "the server stays silent"},
		{"udp", "203.0.113.9:1000", "timeout", "the server stays silent"},
		{"tcp", "192.88.99.1:80", "unreachable", "nothing leads out of the lab"},
		{"tcp", "127.0.0.1:5432", "refused", "the loopback is up"},
		{"tcp", "[::1]:5432", "refused", "the loopback is up"},
		{"tcp", "gone.pay.test:5432", "no such host", "the zone does not know the name"},
	} {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			t.Parallel()
			args := []string{tt.network, tt.address}
			if tt.want == "timeout" {
				args = append(args, "300ms")
			}
			if got := output(t, program(t, lab, "echo", args...)); got != tt.want {
				t.Errorf("got %q, want %q: %s", got, tt.want, tt.reason)
			}
		})
	}
}

func TestRun_InsideAndBack(t *testing.T) {
	t.Parallel()
	lab, _ := internet(t)
	own, err := os.Readlink(ownNetns)
	if err != nil {
		t.Fatal(err)
	}
	server := lab.ServeTCP("203.0.113.7:6000", func(conn net.Conn) { io.WriteString(conn, "welcome") })
	lab.Run(func() {
		if now, err := os.Readlink(ownNetns); err != nil || now == own {
			t.Errorf("the thread is in %s, which is the machine's (%v)", now, err)
		}
		conn, err := net.Dial("tcp", "203.0.113.7:6000")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); string(got) != "welcome" {
			t.Errorf("got %q, %v", got, err)
		}
		if local := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); local != insideAddresses[0].Addr() {
			t.Errorf("dialled from %s", local)
		}
	})
	if now, err := os.Readlink(ownNetns); err != nil || now != own {
		t.Errorf("the thread stayed in %s (%v), want %s", now, err, own)
	}
	if got := server.Used(); got != 1 {
		t.Errorf("server was used %d times, want 1", got)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := lab.DialContext(t.Context(), "tcp", "203.0.113.7:6000"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed server: got %v, want refused", err)
	}
}

func TestLab_FirstPacket(t *testing.T) {
	t.Parallel()
	for range 20 {
		lab := New(t)
		lab.ServeTCP("203.0.113.7:1", nil)
		lab.ServeTCP("[2001:db8::7]:1", nil)
		for _, address := range []string{"203.0.113.7:1", "[2001:db8::7]:1"} {
			start := time.Now()
			conn, err := lab.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if took := time.Since(start); took > 900*time.Millisecond { // the kernel sends a SYN again after a second
				t.Errorf("%s: connected after %s", address, took)
			}
		}
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestServers_ClientAddress(t *testing.T) {
	t.Parallel()
	lab := New(t)
	seen := make(chan netip.AddrPort, 1)
	server := lab.ServeUDP("[2001:db8:7::1]:0", func(from netip.AddrPort, datagram []byte) []byte {
		seen <- from
		return bytes.ToUpper(datagram)
	})
	got := output(t, program(t, lab, "echo", "udp", server.Address().String()))
	if got != "HELLO" {
		t.Fatalf("got %q, want %q", got, "HELLO")
	}
	if from := <-seen; from.Addr() != insideAddresses[1].Addr() {
		t.Errorf("the datagram is from %s, want %s", from, insideAddresses[1].Addr())
	}
}

func TestLab_RealAddressesRejected(t *testing.T) {
	t.Parallel()
	lab := New(t)
	for _, address := range []string{"8.8.8.8", "10.0.0.1", "192.0.2.7", "2001:db8:1::7", "::1", "not an address"} {
		if err := lab.Lab.Host(address); err == nil {
			t.Errorf("%s became a host", address)
		}
	}
	if _, err := lab.Lab.ServeTCP("127.0.0.1:80", nil); err == nil {
		t.Error("a server listens at 127.0.0.1")
	}
}

func TestCommand_EndsWithContext(t *testing.T) {
	t.Parallel()
	lab := New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := lab.Command(ctx, "sleep", "60").Run(); err == nil {
		t.Error("sleep 60 ended well")
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}
