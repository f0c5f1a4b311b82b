package docker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// known is a watcher with these containers that queries no engine.
func known(containers ...Container) *Watcher {
	w := &Watcher{containers: make(map[string]*record), networks: make(map[string]*network)}
	for _, c := range containers {
		r := w.record(c.ID)
		r.Container = c
		for _, a := range c.Networks {
			r.attachments = append(r.attachments, &attachment{Attachment: a})
		}
	}
	return w
}

func TestOwnerAt_ByTime(t *testing.T) {
	addr := netip.MustParseAddr("172.20.0.2")
	in := func(id, network string, from, until time.Duration) Container {
		return Container{ID: id, Networks: []Attachment{
			{NetworkID: network, Addrs: []netip.Addr{addr}, From: from, Until: until}}}
	}
	for _, c := range []struct {
		reason     string
		containers []Container
		networks   []string
		at         time.Duration
		want       string
		around     string
	}{
		{"no owner ever", nil, nil, 5, "", ""},
		{"it lasts", []Container{in("a", "n", 3, 0)}, nil, 5, "a", "a"},
		{"it begins at this very time", []Container{in("a", "n", 5, 0)}, nil, 5, "a", "a"},
		{"it ends at this very time", []Container{in("a", "n", 3, 5)}, nil, 5, "", "a"},
		{"it is still to come", []Container{in("a", "n", 6, 0)}, nil, 5, "", "a"},
		{"the next has it before the last has left", []Container{in("a", "n", 1, 6), in("b", "n", 4, 0)}, nil, 5, "b",
			"b"},
		{"one had it, and one is to have it", []Container{in("a", "n", 1, 4), in("b", "n", 6, 0)}, nil, 5, "", "a"},
		{"two had it", []Container{in("a", "n", 1, 2), in("b", "n", 3, 4)}, nil, 5, "", "b"},
		{"two are to have it", []Container{in("a", "n", 8, 9), in("b", "n", 6, 7)}, nil, 5, "", "b"},
		{"two networks overlap, the asker is in one", []Container{in("a", "n", 1, 0), in("b", "m", 2, 0)},
			[]string{"n"}, 5, "a", "a"},
		{"the asker's network had it at another time", []Container{in("a", "n", 6, 0), in("b", "m", 2, 0)},
			[]string{"n"}, 5, "b", "a"},
		{"two networks overlap, nothing decides", []Container{in("a", "n", 1, 0), in("b", "m", 2, 0)}, nil, 5, "", ""},
		{"the asker is in both", []Container{in("a", "n", 1, 0), in("b", "m", 2, 0)}, []string{"n", "m"}, 5, "", ""},
	} {
		w := known(c.containers...)
		for _, asked := range []netip.Addr{addr, netip.AddrFrom16(addr.As16())} {
			if got, _ := w.OwnerAt(asked, c.networks, c.at); got.ID != c.want {
				t.Errorf("%s: %v was of %q, want %q", c.reason, asked, got.ID, c.want)
			}
			if got, _ := w.OwnerNear(asked, c.networks, c.at); got.ID != c.around {
				t.Errorf("%s: %v was of %q at some time, want %q", c.reason, asked, got.ID, c.around)
			}
		}
	}
}

func TestPublisherAt_ByTime(t *testing.T) {
	anyAddr, one := netip.IPv4Unspecified(), netip.MustParseAddr("127.0.0.1")
	has := func(id string, host netip.Addr, port uint16, from, until time.Duration) Container {
		return Container{ID: id, Published: []Port{
			{Host: host, HostPort: 8080, Port: port, Protocol: flow.TCP, From: from, Until: until}}}
	}
	for _, c := range []struct {
		reason     string
		containers []Container
		want       string
		port       uint16
		around     string
	}{
		{"the address comes before any address", []Container{has("a", one, 80, 1, 0), has("b", anyAddr, 81, 1, 0)}, "a",
			80, "a"},
		{"but not when it was left", []Container{has("a", one, 80, 1, 4), has("b", anyAddr, 81, 4, 0)}, "b", 81, "a"},
		{"the next has it before the last has left", []Container{has("a", one, 80, 1, 6), has("b", one, 81, 4, 0)}, "b",
			81, "b"},
		{"no owner yet", []Container{has("a", one, 80, 6, 0)}, "", 0, "a"},
		{"another address", []Container{has("a", netip.MustParseAddr("127.0.0.2"), 80, 1, 0)}, "", 0, ""},
		{"another family", []Container{has("a", netip.IPv6Unspecified(), 80, 1, 0)}, "", 0, ""},
	} {
		w := known(c.containers...)
		addr := netip.AddrPortFrom(one, 8080)
		if got, port, _ := w.PublisherAt(addr, flow.TCP, 5); got.ID != c.want || port != c.port {
			t.Errorf("%s: port %d of %q, want %d of %q", c.reason, port, got.ID, c.port, c.want)
		}
		if got, _, _ := w.PublisherNear(addr, flow.TCP, 5); got.ID != c.around {
			t.Errorf("%s: at some time of %q, want %q", c.reason, got.ID, c.around)
		}
	}
}
