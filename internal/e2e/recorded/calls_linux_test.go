package recorded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest"
)

// Each row of calls has a recording, and so has the test around them. The golden file contains the flows of all rows.
func TestFlows_DialledDestinations(t *testing.T) {
	lab := newLab(t)
	lab.ServeTCP(visitor.String(), func(net.Conn) {
		if err := errors.Join(exchangeIn(lab, "tcp", "192.0.2.2:9999"),
			exchangeIn(lab, "udp", "192.0.2.2:9999")); err != nil {
			t.Error(err)
		}
	})
	s := newShop(t, lab)
	s.run(run{Test: "TestCalls", Args: []string{"-update"}}).passes()
	s.golden("TestCalls", "calls.yaml")
}

var (
	pay     = netip.MustParseAddrPort("203.0.113.10:443")
	metrics = netip.MustParseAddrPort("203.0.113.11:8125")
	six     = netip.MustParseAddrPort("[2001:db8::10]:8125")
	visitor = netip.MustParseAddrPort("203.0.113.12:1001") // connects back to 192.0.2.2:9999
)

// calls are ways to open flows, with the expected flows. Calls by address come first, because a later lookup gives the
// addresses names.
var calls = []struct {
	reason string
	open   func() error
	want   []string
}{
	{"connecting a UDP socket is no traffic", func() error {
		conn, err := net.Dial("udp", metrics.String())
		if err != nil {
			return err
		}
		return conn.Close()
	}, nil},
	{"sendto and sendmsg, with a destination for each datagram", func() error {
		return onSocket(unix.AF_INET, func(fd int) error {
			if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: 8125, Addr: metrics.Addr().As4()}); err != nil {
				return err
			}
			_, err := unix.SendmsgN(fd, []byte("x"), nil, &unix.SockaddrInet4{Port: 443, Addr: pay.Addr().As4()}, 0)
			return err
		})
	}, []string{"203.0.113.10:443/UDP once", "203.0.113.11:8125/UDP once"}},
	{"an IPv6 socket sends to an IPv4 address, and to an IPv6 one", func() error {
		return onSocket(unix.AF_INET6, func(fd int) error {
			if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Port: 8125, Addr: metrics.Addr().As16()}); err != nil {
				return err
			}
			return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet6{Port: 8125, Addr: six.Addr().As16()})
		})
	}, []string{"203.0.113.11:8125/UDP once", "[2001:db8::10]:8125/UDP once"}},
	{"a fork without exec", func() error {
		pid, errno := forkAndConnect(pay.Addr().As4(), pay.Port())
		if errno != 0 {
			return errno
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 0 {
			return fmt.Errorf("the copy ended with %v: %w", status, err)
		}
		return nil
	}, []string{"203.0.113.10:443/TCP once"}},
	{"children, their children, and orphans", func() error {
		return open("child/tcp/203.0.113.10:443 child/child/udp/203.0.113.11:8125 orphan/tcp/203.0.113.12:5432")
	}, []string{"203.0.113.10:443/TCP once", "203.0.113.11:8125/UDP once", "203.0.113.12:5432/TCP once"}},
	{"traffic of the test to itself, at each of its addresses, with two servers at one port", func() error {
		return withServers(":8443", 2, func() error {
			return open("tcp/127.0.0.1:8443 tcp/[::1]:8443 tcp/192.0.2.2:8443 tcp/[2001:db8:1::2]:8443")
		})
	}, nil},
	{"a port that the test and a child both serve counts as the child's", func() error {
		return withServers("127.0.0.1:8444", 1, func() error {
			return withChildServer("127.0.0.1:8444", func() error { return open("tcp/127.0.0.1:8444 tcp/127.0.0.1:8444") })
		})
	}, []string{"recorded-test:8444/TCP 2 times"}},
	{"answers of servers are no flows", func() error {
		datagrams, err := net.ListenPacket("udp", "192.0.2.2:9999")
		if err != nil {
			return err
		}
		defer datagrams.Close()
		go echoDatagrams(datagrams)
		return withServers("192.0.2.2:9999", 1, func() error { return open("meet/" + visitor.String()) })
	}, []string{"203.0.113.12:1001/TCP once"}},
	{"IPv6 by name, over TCP and UDP", func() error { return open("tcp/six.pay.test:443 udp/six.pay.test:8125") },
		[]string{"kube-dns.kube-system:53/UDP 4 times", "six.pay.test:443/TCP once", "six.pay.test:8125/UDP once"}},
	{"DNS over TCP", func() error {
		conn, err := (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: dialTCP}}).Dial("tcp4", "api.pay.test:443")
		if err != nil {
			return err
		}
		return exchange(conn)
	}, []string{"kube-dns.kube-system:53/TCP once", "api.pay.test:443/TCP once"}},
	{"another name at the same address and port", func() error {
		return open("tcp4/refunds.pay.test:443 child/tcp4/api.pay.test:443 tcp4/refunds.pay.test:443")
	}, []string{"kube-dns.kube-system:53/UDP 3 times", "api.pay.test:443/TCP once", "refunds.pay.test:443/TCP 2 times"}},
}

func userCalls(t *testing.T) {
	netzerotest.Record(t)
	for _, call := range calls {
		t.Run(call.reason, func(t *testing.T) {
			recording := netzerotest.Record(t)
			check(t, call.open())
			var got []string
			for _, f := range recording.Flows() {
				times := "once"
				if f.Count > 1 {
					times = fmt.Sprintf("%d times", f.Count)
				}
				got = append(got, f.Target()+" "+times)
			}
			if diff := cmp.Diff(call.want, got); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
		})
	}
}

// onSocket calls use with a UDP socket.
func onSocket(domain int, use func(fd int) error) error {
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return use(fd)
}

func dialTCP(ctx context.Context, _, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}
