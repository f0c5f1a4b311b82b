package endpoint

import (
	"fmt"
	"net/netip"
	"slices"
)

// Peer is a destination that the user named, because no test can know what stands there.
type Peer struct {
	Pattern
	Name string // a DNS-1123 label: the app label of the peer's pods
}

// ParsePeer parses what the option Peer was given. address is host:port, an IP address, [IPv6]:port, a CIDR (without
// port), or a DNS name with or without port; "localhost" is every loopback address. name is a DNS-1123 label.
func ParsePeer(address, name string) (Peer, error) {
	p, err := parsePattern(address)
	if err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): address %w", address, name, err)
	}
	switch {
	case p.kind == onWildcard:
		err = fmt.Errorf("has a wildcard, but a Peer is one workload: write one name, or leave the hosts out with Ignore(%q)", p)
	case p.kind == onNetwork && p.port != 0:
		err = fmt.Errorf("is a CIDR with a port: write the CIDR %q alone, or one address with the port", p.prefix)
	}
	if err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): address %w", address, name, err)
	}
	if err := CheckLabel(name); err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): %w", address, name, err)
	}
	return Peer{p, name}, nil
}

// Peers is a set of peers in which every pattern has one name. The zero value is empty.
type Peers struct {
	specificFirst []Peer
}

// NewPeers returns the set of the given peers, in any order. One pattern with two names is an error.
func NewPeers(peers ...Peer) (Peers, error) {
	sorted := slices.Clone(peers)
	slices.SortStableFunc(sorted, func(a, b Peer) int { return a.compare(b.Pattern) })
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; a.Pattern == b.Pattern && a.Name != b.Name {
			return Peers{}, fmt.Errorf("collect peers: %q is named %q and %q: keep one", a.Pattern, a.Name, b.Name)
		}
	}
	return Peers{slices.Compact(sorted)}, nil
}

// Match returns the name of the peer whose pattern fits best, "" where none fits, and whether that pattern names the
// port. With a port goes before without; then an address goes before localhost, that before a DNS name, and that before
// a CIDR, of which the longest wins.
func (p Peers) Match(addr netip.Addr, port uint16, dnsName string) (name string, exact bool) {
	for _, peer := range p.specificFirst {
		if peer.Pattern.Match(addr, port, dnsName) {
			return peer.Name, peer.port != 0
		}
	}
	return "", false
}
