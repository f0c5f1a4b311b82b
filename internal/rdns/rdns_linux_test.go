package rdns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
)

func TestNames_ReverseDNS(t *testing.T) {
	testenv.RequireRoot(t)
	lab := testnet.New(t)
	zone := testnet.MustZone(
		"7.113.0.203.in-addr.arpa PTR DB.partner.test", "7.113.0.203.in-addr.arpa PTR alias.partner.test",
		"1.0.0.10.in-addr.arpa PTR db.corp.test",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.partner.test",
		"254.169.254.169.in-addr.arpa PTR metadata.test",
	)
	lab.ServeDNS("203.0.113.53:53", zone)
	addrs := []netip.Addr{
		netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("::ffff:203.0.113.7"),
		netip.MustParseAddr("203.0.113.8"),
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("127.0.0.1"), {},
	}
	want := map[netip.Addr]string{addrs[0]: "alias.partner.test", addrs[3]: "db.corp.test",
		addrs[4]: "six.partner.test"}
	if diff := cmp.Diff(want, names(t.Context(), lab.Resolver(), addrs),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if n := len(zone.Queries()); n != 4 {
		t.Errorf("%d questions for 4 addresses that are worth one: %v", n, zone.Queries())
	}
}

func TestNames_Limits(t *testing.T) {
	var many []netip.Addr
	for i := range 100 {
		many = append(many, netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i)))
	}
	if got := len(worthAsking(many)); got != MaxAddrs {
		t.Errorf("%d of 100 addresses are asked for", got)
	}
	silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	if got := names(t.Context(), silent, many); len(got) > 0 {
		t.Errorf("a resolver that says nothing said %v", got)
	}
}
