package main

import (
	"strings"
	"testing"
)

func TestPeer_RejectsArgumentsFirst(t *testing.T) {
	for _, c := range []struct {
		reason, args string
		ok           bool
	}{
		{"one command", "dial a:1 b:2", true},
		{"several", "listen :1 udp::2 then repeat 3 dial a:1 then sleep 10ms then wait", true},
		{"nested", "child listen :1 and start dial a:1 then resolve a", true},
		{"a command of a child that is wrong", "child dial a:1 and bogus", false},
		{"a resolver", "dns :53 db.test=203.0.113.7 db.test=2001:db8::7", true},
		{"a name without an address", "dns :53 db.test", false},
		{"nothing", "", false},
		{"nothing at the end", "dial a:1 then", false},
		{"nothing between", "dial a:1 then then wait", false},
		{"unknown", "call a:1", false},
		{"requests", "serve :8080 then request GET http://a:1/ http://b:2/ then grpc http://a:1/shop.Cart/Add", true},
		{"a request without a URL", "request GET", false},
		{"no port", "dial a", false},
		{"no datagram over TCP", "send hi a:1", false},
		{"no time", "sleep 5", false},
		{"never", "repeat 0 dial a:1", false},
		{"too many", "wait long", false},
	} {
		if _, err := parse(strings.Fields(c.args), "then"); (err == nil) != c.ok {
			t.Errorf("%s: %q: %v", c.reason, c.args, err)
		}
	}
}

func TestPeer_AddressNetworks(t *testing.T) {
	for _, c := range []struct {
		text string
		want address
	}{
		{"db:5432", address{"tcp", "db:5432"}},
		{"udp:db:53", address{"udp", "db:53"}},
		{"udp::53", address{"udp", ":53"}},
		{"tcp6:[::1]:80", address{"tcp6", "[::1]:80"}},
		{"[::1]:80", address{"tcp", "[::1]:80"}},
		{"udp:53", address{"tcp", "udp:53"}}, // a host with that name
	} {
		if got, err := parseAddress(c.text); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
}
