package testnet

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Other tests use only the kind that New chooses here; the kinds for other kernels have to work, too.
func TestWire_AllKinds(t *testing.T) {
	testenv.RequireRoot(t)
	for _, kind := range []string{Veth, Netkit, Loopback} {
		t.Run(kind, func(t *testing.T) {
			wire, err := newWireOf(kind)
			if kind != Loopback && errors.Is(err, unix.EOPNOTSUPP) {
				t.Logf("this kernel has no driver: %v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			lab := newLab(wire)
			t.Cleanup(func() {
				if err := lab.Close(); err != nil {
					t.Error(err)
				}
			})
			net := &Net{lab, t}
			net.ServeDNS("203.0.113.53:53", MustZone("api.pay.test A 203.0.113.7", "api.pay.test AAAA 2001:db8::7"))
			for _, host := range []string{"203.0.113.7", "[2001:db8::7]"} {
				net.ServeTCP(host+":5432", nil)
				net.ServeUDP(host+":9999", nil)
			}
			for _, tt := range []struct{ network, address, want, reason string }{
				{"tcp4", "api.pay.test:5432", "hello", "a server answers"},
				{"tcp6", "api.pay.test:5432", "hello", "a server answers over IPv6"},
				{"udp4", "api.pay.test:9999", "hello", "a server answers over UDP"},
				{"udp6", "api.pay.test:9999", "hello", "a server answers over UDP and IPv6"},
				{"tcp", "203.0.113.7:5433", "refused", "the host has no server there"},
				{"tcp", "192.88.99.1:80", "unreachable", "nothing leads out of the lab"},
			} {
				if got := output(t, program(t, net, "echo", tt.network, tt.address)); got != tt.want {
					t.Errorf("%s %s: got %q, want %q: %s", tt.network, tt.address, got, tt.want, tt.reason)
				}
			}
			if got := output(t, program(t, net, "echo", "udp", "[ff15::777]:8125", "100ms")); got != "timeout" {
				t.Errorf("got %q, want timeout: a datagram to a multicast group leaves, and no host answers", got)
			}
		})
	}
}
