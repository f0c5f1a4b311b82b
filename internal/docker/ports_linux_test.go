package docker

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// published returns the first published address of a container's port, as Docker's client prints it.
func (r *rig) published(id, port string) netip.AddrPort {
	r.Helper()
	first, _, _ := strings.Cut(r.docker("port", id, port), "\n")
	addr, err := netip.ParseAddrPort(first)
	check(r.T, err)
	return addr
}

func TestPublisherAt_Ports(t *testing.T) {
	r := newRig(t)
	id := r.run("ports", "--publish", "80", "--publish", "127.0.0.2::81/udp", "--publish", "[::1]::82", "--publish",
		"127.0.0.3::83-84")
	c := r.container(id)
	at := monotonicNow()
	any80 := r.published(id, "80/tcp").Port()
	udp, six, last := r.published(id, "81/udp"), r.published(id, "82/tcp"), r.published(id, "84/tcp")
	for _, p := range []struct {
		reason   string
		addr     netip.AddrPort
		protocol flow.Protocol
		at       time.Duration
		want     uint16 // 0: no container's
	}{
		{"localhost", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), any80), flow.TCP, at, 80},
		{"any of the host's addresses", netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), any80), flow.TCP, at, 80},
		{"0.0.0.0, which reaches localhost", netip.AddrPortFrom(netip.IPv4Unspecified(), any80), flow.TCP, at, 80},
		{"a mapped address", netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), any80), flow.TCP, at, 80},
		{"another protocol", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), any80), flow.UDP, at, 0},
		{"before it was", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), any80), flow.TCP, c.Created, 0},
		{"the container's own port", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 80), flow.SCTP, at, 0},
		{"one address of the host", udp, flow.UDP, at, 81},
		{"another than that", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), udp.Port()), flow.UDP, at, 0},
		{"IPv6", six, flow.TCP, at, 82},
		{"IPv6, as 0 to itself", netip.AddrPortFrom(netip.IPv6Unspecified(), six.Port()), flow.TCP, at, 82},
		{"IPv4, where IPv6 is published", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), six.Port()), flow.TCP,
			at, 0},
		{"the last of a range", last, flow.TCP, at, 84},
	} {
		got, port, ok := r.w.PublisherAt(p.addr, p.protocol, p.at)
		if ok != (p.want != 0) || port != p.want || ok && got.ID != id {
			t.Errorf("%s: %v/%v is port %d of %q, want %d", p.reason, p.addr, p.protocol, port, got.Name, p.want)
		}
	}
}

func TestPublisherAt_AfterRestart(t *testing.T) {
	r := newRig(t)
	id := r.run("restart", "--publish", "127.0.0.1::80")
	first, before := r.published(id, "80/tcp"), monotonicNow()
	addr := r.container(id).Networks[0].Addrs[0]
	r.docker("stop", "--time", "5", id)
	stopped := monotonicNow()
	other := r.run("other") // takes the address
	r.docker("start", id)
	second, after := r.published(id, "80/tcp"), monotonicNow()

	c := r.container(id)
	if len(c.Networks) != 2 || c.Networks[0].Until == 0 || c.Networks[1].Until != 0 ||
		c.Started < c.Networks[0].Until || c.Ended != 0 {
		t.Fatalf("container is %+v", c)
	}
	if first == second || len(c.Published) != 2 {
		t.Fatalf("published %v, then %v: %+v", first, second, c.Published)
	}
	for _, p := range []struct {
		reason string
		addr   netip.AddrPort
		at     time.Duration
		want   bool
	}{
		{"the first start", first, before, true},
		{"the first start's port, while it was stopped", first, stopped, false},
		{"the first start's port, after the second", first, after, false},
		{"the second start", second, after, true},
		{"the second start's port, before", second, before, false},
	} {
		if _, _, ok := r.w.PublisherAt(p.addr, flow.TCP, p.at); ok != p.want {
			t.Errorf("%s: %v", p.reason, ok)
		}
		if got, port, ok := r.w.PublisherNear(p.addr, flow.TCP, p.at); !ok || got.ID != id || port != 80 {
			t.Errorf("%s: around any time it is port %d of %q", p.reason, port, got.Name)
		}
	}
	if got, _ := r.w.OwnerAt(addr, nil, before); got.ID != id {
		t.Errorf("%v was of %q before", addr, got.Name)
	}
	if got, _ := r.w.OwnerAt(addr, nil, after); got.ID != other {
		t.Errorf("%v is of %q after", addr, got.Name)
	}
}
