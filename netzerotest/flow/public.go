package flow

import "net/netip"

// notPublic lists the ranges that a rule for "the internet" excludes: loopback (RFC 1122, RFC 4291), private
// (RFC 1918), link-local (RFC 3927, RFC 4291) and unique local addresses (RFC 4193). Sorted, IPv4 first.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
}

// NotPublic returns the ranges that are not part of the internet: loopback, private, link-local and unique local
// addresses; sorted, IPv4 first. The caller may change the slice.
func NotPublic() []netip.Prefix { return append([]netip.Prefix(nil), notPublic...) }

// Public reports whether an address lies outside every range of [NotPublic]. An IPv4-mapped address counts as IPv4, and
// a zone is ignored.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("") // no prefix contains an address with a zone
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// MetadataService is the link-local address at which clouds serve instance metadata and credentials.
var MetadataService = netip.AddrFrom4([4]byte{169, 254, 169, 254})
