package recorder

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolvers_LinkLocalMulticast(t *testing.T) {
	for _, tt := range []struct {
		addr   string
		peer   endpoint.Peer
		want   bool
		reason string
	}{
		{addr: "224.0.0.251", want: true, reason: "multicast DNS"},
		{addr: "::ffff:224.0.0.251", want: true, reason: "the same, by a dual-stack socket"},
		{addr: "ff02::fb%eth0", want: true, reason: "multicast DNS over IPv6"},
		{addr: "224.0.0.252", want: true, reason: "LLMNR"},
		{addr: "ff02::1:3", want: true, reason: "LLMNR over IPv6"},
		{addr: "224.0.0.251", peer: endpoint.Peer{Name: "mirror"}, reason: "a Peer names it"},
		{addr: "224.0.1.1", reason: "routers forward it"},
		{addr: "239.255.255.250", reason: "routers forward it within a site"},
		{addr: "ff05::fb", reason: "routers forward it within a site"},
		{addr: "fe80::1%eth0", reason: "link-local, but one host"},
		{addr: "169.254.169.254", reason: "the metadata service is kept"},
		{addr: "203.0.113.7", reason: "a host"},
	} {
		if got := staysOnLink(endpoint.Identity{Peer: tt.peer}, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: %v, want %v: %s", tt.addr, got, tt.want, tt.reason)
		}
	}
}

func TestResolvers_EncryptedLookup(t *testing.T) {
	external := func(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.External, Name: name} }
	address := func(addr string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)}
	}
	for _, tt := range []struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     uint16
		want     string
		reason   string
	}{
		{address("203.0.113.53"), flow.TCP, 853, "DNS over TLS", "by port"},
		{external("dot.example.com"), flow.TCP, 853, "DNS over TLS", "by name too"},
		{address("203.0.113.53"), flow.UDP, 853, "DNS over QUIC", "by port"},
		{external("dns.google"), flow.TCP, 443, "DNS over HTTPS", "a host that serves nothing else"},
		{external("mozilla.cloudflare-dns.com"), flow.TCP, 443, "DNS over HTTPS", "a subdomain for a browser"},
		{address("2001:4860:4860::8888"), flow.UDP, 443, "DNS over HTTPS", "over HTTP/3, by address"},
		{external("dns.google"), flow.TCP, 8443, "", "another port is another service"},
		{external("notdns.google"), flow.TCP, 443, "", "only whole labels match"},
		{external("api.example.com"), flow.TCP, 443, "", "an API"},
		{address("203.0.113.53"), flow.TCP, 443, "", "an unknown resolver"},
		{address("203.0.113.53"), flow.SCTP, 853, "", "no lookups go over SCTP"},
		{flow.ClusterResolver, flow.UDP, 53, "", "the resolver: its answers are readable"},
	} {
		f := flow.Flow{Destination: tt.to, Protocol: tt.protocol, Port: tt.port}
		if got := encryptedLookup(f); got != tt.want {
			t.Errorf("%s: %q, want %q: %s", f.Target(), got, tt.want, tt.reason)
		}
	}
}

func TestResolvers_Notices(t *testing.T) {
	to := func(addr string, protocol flow.Protocol, port uint16) flow.Flow {
		return flow.Flow{
			Destination: flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)},
			Protocol:    protocol, Port: port,
		}
	}
	tls := to("203.0.113.53", flow.TCP, 853)
	got := append(lookupNotices([]flow.Flow{tls, tls, to("203.0.113.53", flow.TCP, 443)}),
		linkNotices([]flow.Flow{
			to("224.0.0.251", flow.UDP, 5353), to("ff02::1:3", flow.UDP, 5355), to("224.0.0.1", flow.ICMP, 0),
		})...)
	want := []string{
		"names may come from DNS over TLS: 203.0.113.53:853/TCP, whose queries cannot be read: a host that was looked " +
			"up there appears under another name or as its address",
		"224.0.0.251:5353/UDP is multicast DNS, which reaches no other pod in a cluster: not in the policy",
		"[ff02::1:3]:5355/UDP is LLMNR, which reaches no other pod in a cluster: not in the policy",
		"224.0.0.1/ICMP is link-local multicast, which reaches no other pod in a cluster: not in the policy",
	}
	if diff := cmp.Diff(want, recording.Texts(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
