package endpoint

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolvConf_NameServers(t *testing.T) {
	self := []string{"127.0.0.1", "::1"}
	for _, tt := range []struct {
		text   string
		want   []string
		reason string
	}{
		{"", self, "none is this machine"},
		{"search x\noptions ndots:5\n", self, "none among other lines"},
		{"nameserver 10.0.0.1\nnameserver 2001:db8::1\n", []string{"10.0.0.1", "2001:db8::1"}, "both families"},
		{"# nameserver 10.0.0.1\n; nameserver 10.0.0.2\nnameserver 10.0.0.3", []string{"10.0.0.3"},
			"comments, no last newline"},
		{"nameserver\t10.0.0.1  # ours\r\n", []string{"10.0.0.1"}, "tabs, a comment behind, CRLF"},
		{"nameserver fe80::1%eth0\n", []string{"fe80::1"}, "a zone"},
		{"nameserver ::ffff:10.0.0.1\n", []string{"10.0.0.1"}, "a mapped address"},
		{"nameserver 0.0.0.0\n", []string{"127.0.0.1"}, "the unspecified address is loopback"},
		{"nameserver dns.example\nnameserver\nnameservers 10.0.0.1\n", self, "what is no server"},
		{"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
			[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}, "more than resolvers query"},
	} {
		var want []netip.Addr
		for _, a := range tt.want {
			want = append(want, netip.MustParseAddr(a))
		}
		if got := parseResolvConf(tt.text); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.reason, got, want)
		}
	}
}

func TestResolvers_LoopbackPort53(t *testing.T) {
	var r Resolvers
	for _, tt := range []struct {
		addr string
		port uint16
		want bool
	}{
		{"127.0.0.53", 53, true},
		{"127.0.0.11", 53, true},
		{"::1", 53, true},
		{"::ffff:127.0.0.1", 53, true},
		{"0.0.0.0", 53, true},
		{"127.0.0.53", 54, false},
		{"::1", 5353, false},
		{"203.0.113.250", 53, false},
	} {
		if got := r.isResolver(0, netip.MustParseAddr(tt.addr), tt.port); got != tt.want {
			t.Errorf("isResolver(%s, %d) = %v, want %v", tt.addr, tt.port, got, tt.want)
		}
	}
}

// resolverAt is the cluster's resolver at an address of the test machine.
func resolverAt(addr string) flow.Endpoint {
	e := flow.ClusterResolver
	e.Addr, e.Evidence = netip.MustParseAddr(addr), flow.ByResolvConf
	return e
}
