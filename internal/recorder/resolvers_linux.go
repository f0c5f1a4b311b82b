package recorder

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Ports of name resolution other than DNS over port 53.
const (
	mdnsPort  = 5353 // RFC 6762
	llmnrPort = 5355 // RFC 4795
	tlsPort   = 853  // RFC 7858, and over QUIC RFC 9250
	httpsPort = 443  // RFC 8484
)

// onLink are the interface-local and link-local multicast groups, which no router forwards (RFC 5771, RFC 4291).
var onLink = []netip.Prefix{
	netip.MustParsePrefix("224.0.0.0/24"),
	netip.MustParsePrefix("ff01::/16"),
	netip.MustParsePrefix("ff02::/16"),
}

// staysOnLink reports whether a flow goes to such a group, unless a Peer names it. A pod is alone on its link, so a
// rule for the group would be useless.
func staysOnLink(to endpoint.Identity, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return to.Peer == (endpoint.Peer{}) && slices.ContainsFunc(onLink, func(p netip.Prefix) bool {
		return p.Contains(addr)
	})
}

// linkNotices reports flows that stay on the link.
func linkNotices(flows []flow.Flow) []recording.Notice {
	var notices []recording.Notice
	for _, f := range flows {
		what := "link-local multicast"
		switch {
		case f.Protocol == flow.UDP && f.Port == mdnsPort:
			what = "multicast DNS"
		case f.Protocol == flow.UDP && f.Port == llmnrPort:
			what = "LLMNR"
		}
		notices = append(notices, recording.Noticef(recording.CodeLinkLocal,
			"%s is %s, which reaches no other pod in a cluster: not in the policy", f.Target(), what))
	}
	return notices
}

// lookupNotices reports resolvers with encrypted queries: names that were looked up there are unknown.
func lookupNotices(flows []flow.Flow) []recording.Notice {
	var notices []recording.Notice
	for _, f := range flows {
		if way := encryptedLookup(f); way != "" {
			notice := recording.Noticef(recording.CodeEncryptedDNS,
				"names may come from %s: %s, whose queries cannot be read: a host that was looked up there appears "+
					"under another name or as its address", way, f.Target())
			if !slices.Contains(notices, notice) { // the same from another source
				notices = append(notices, notice)
			}
		}
	}
	return notices
}

// encryptedLookup returns the encrypted protocol by which a flow looks names up, or "".
func encryptedLookup(f flow.Flow) string {
	switch {
	case f.Port == tlsPort && f.Protocol == flow.TCP:
		return "DNS over TLS"
	case f.Port == tlsPort && f.Protocol == flow.UDP:
		return "DNS over QUIC"
	case f.Port == httpsPort && (f.Protocol == flow.TCP || f.Protocol == flow.UDP) && servesHTTPS(f.Destination):
		return "DNS over HTTPS"
	}
	return ""
}

// servesHTTPS reports whether an endpoint is known to serve DNS over HTTPS. Such a flow looks like any other, so
// unknown resolvers are not reported.
func servesHTTPS(e flow.Endpoint) bool {
	switch e.Kind {
	case flow.External:
		return slices.ContainsFunc(httpsResolvers, func(name string) bool {
			return e.Name == name || strings.HasSuffix(e.Name, "."+name)
		})
	case flow.Address:
		return slices.Contains(httpsResolverAddrs, e.Addr)
	}
	return false
}

// httpsResolvers are the public resolvers that operating systems, browsers and client libraries offer. Their subdomains
// count too.
var httpsResolvers = []string{
	"adguard-dns.com", "cloudflare-dns.com", "dns.google", "dns.mullvad.net", "dns.nextdns.io", "doh.cleanbrowsing.org",
	"doh.dns.sb", "doh.opendns.com", "one.one.one.one", "quad9.net",
}

// httpsResolverAddrs are their addresses that are commonly dialled directly: those of Cloudflare, Google and Quad9.
var httpsResolverAddrs = []netip.Addr{
	netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("1.0.0.1"),
	netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4"),
	netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("149.112.112.112"),
	netip.MustParseAddr("2606:4700:4700::1111"), netip.MustParseAddr("2606:4700:4700::1001"),
	netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2001:4860:4860::8844"),
	netip.MustParseAddr("2620:fe::fe"), netip.MustParseAddr("2620:fe::9"),
}
