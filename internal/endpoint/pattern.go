package endpoint

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
)

// Pattern is a set of destinations in the syntax of the options Peer and Ignore, with or without a port. Patterns with
// the same meaning are equal: "10.0.0.1/32", "::ffff:10.0.0.1" and "10.0.0.1"; "API.example." and "api.example". The
// zero value matches nothing.
type Pattern struct {
	kind   patternKind
	prefix netip.Prefix // of an address or network; an address has its full length
	name   string       // of a name or wildcard: lower case, without the trailing dot; a wildcard begins with '.'
	port   uint16       // 0 means every port
}

// patternKind orders patterns from the most specific kind to the least.
type patternKind uint8

const (
	onAddress  patternKind = iota + 1
	onLoopback             // "localhost"
	onName
	onWildcard // "*.example.com": one or more labels before the name
	onNetwork
)

// Match reports whether a destination is in the set. dnsName is the name that was looked up, or "".
func (p Pattern) Match(addr netip.Addr, port uint16, dnsName string) bool {
	if p.port != 0 && p.port != port {
		return false
	}
	switch p.kind {
	case onAddress, onNetwork:
		return p.prefix.Contains(normal(addr))
	case onLoopback:
		return normal(addr).IsLoopback()
	case onName:
		return p.name == canonicalName(dnsName)
	case onWildcard:
		name := canonicalName(dnsName)
		return len(name) > len(p.name) && strings.HasSuffix(name, p.name)
	}
	return false
}

// Network returns the addresses of the set; false if it is a set of names, or of loopback addresses.
func (p Pattern) Network() (netip.Prefix, bool) {
	return p.prefix, p.kind == onAddress || p.kind == onNetwork
}

// Host returns the name of the set; below is true for all names below it. It returns "" for a set of addresses.
func (p Pattern) Host() (name string, below bool) {
	return strings.TrimPrefix(p.name, "."), p.kind == onWildcard
}

// Port returns the port of the set; 0 means every port.
func (p Pattern) Port() uint16 { return p.port }

// compare orders patterns from the most specific to the least: with a port before without, then by kind, then longer
// networks and names first. Patterns that compare equal are equal.
func (p Pattern) compare(q Pattern) int {
	return cmp.Or(
		cmp.Compare(anyPort(p), anyPort(q)),
		cmp.Compare(p.kind, q.kind),
		cmp.Compare(q.prefix.Bits(), p.prefix.Bits()),
		cmp.Compare(len(q.name), len(p.name)),
		p.prefix.Addr().Compare(q.prefix.Addr()),
		cmp.Compare(p.name, q.name),
		cmp.Compare(p.port, q.port),
	)
}

func anyPort(p Pattern) int {
	if p.port == 0 {
		return 1
	}
	return 0
}

// String returns the canonical spelling of the pattern, which parses to an equal pattern.
func (p Pattern) String() string {
	host := p.name
	switch p.kind {
	case onAddress:
		host = p.prefix.Addr().String()
	case onNetwork:
		host = p.prefix.String()
	case onLoopback:
		host = "localhost"
	case onWildcard:
		host = "*" + p.name
	}
	if p.port == 0 {
		return host
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(p.port))
}

// canonicalName returns the spelling of a DNS name for comparison.
func canonicalName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
