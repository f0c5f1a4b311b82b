package endpoint

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Peer is a destination that the user named, because no test can identify it.
type Peer struct {
	Pattern
	Name    string // a DNS-1123 label, which is the app label of the peer's pods, or a DNS name
	PodPort uint16 // the port at which those pods serve; 0 means the dialed port
	At      string // the place of the option, such as "shop_test.go:31"; optional, and ignored in comparisons

	APIServer bool // the peer is the cluster's API server instead of pods, and Name is that of its Service
}

// same reports whether two peers have the same meaning, wherever they were named.
func (p Peer) same(other Peer) bool {
	p.At, other.At = "", ""
	return p == other
}

// namePort returns the name in the option's syntax: "search", or "search:8080".
func (p Peer) namePort() string {
	if p.PodPort == 0 {
		return p.Name
	}
	return p.Name + ":" + strconv.Itoa(int(p.PodPort))
}

// quoted returns the option's name in quotes, and its place.
func (p Peer) quoted() string {
	if p.At == "" {
		return strconv.Quote(p.namePort())
	}
	return strconv.Quote(p.namePort()) + " at " + p.At
}

// Exact reports whether the pattern includes a port.
func (p Peer) Exact() bool { return p.port != 0 }

// ParsePeer parses the arguments of the option Peer. address is host:port, an IP address, [IPv6]:port, a CIDR (without
// port), or a DNS name with or without port; "localhost" is every loopback address. name is a DNS-1123 label or a DNS
// name, such as "search.shop" or "api.stripe.com". It may end in :port, the port of the real peer if the test dials
// another one. Or name is the API server: "kubernetes.default.svc:443", in any form of the name that pods use.
func ParsePeer(address, name string) (Peer, error) {
	p, err := parsePattern(address)
	if err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): address %w", address, name, err)
	}
	switch {
	case p.kind == onWildcard:
		err = fmt.Errorf("has a wildcard, but a Peer is one workload: write one name, or leave the hosts out with "+
			"Ignore(%q)", p)
	case p.kind == onNetwork && p.port != 0:
		err = fmt.Errorf("is a CIDR with a port: write the CIDR %q alone, or one address with the port", p.prefix)
	}
	if err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): address %w", address, name, err)
	}
	peer := Peer{Pattern: p}
	if at, isAPIServer, err := parseAPIServer(name); err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): %w", address, name, err)
	} else if isAPIServer {
		at.Pattern = p
		return at, nil
	}
	if peer.Name, peer.PodPort, err = parseNamePort(name); err != nil {
		return Peer{}, fmt.Errorf("parse Peer(%q, %q): %w", address, name, err)
	}
	return peer, nil
}

// parseNamePort parses "search", "search:8080" and "api.example.com:443".
func parseNamePort(s string) (name string, port uint16, err error) {
	name, text, hasPort := strings.Cut(s, ":")
	if name, err = parsePeerName(name); err != nil {
		return "", 0, err
	}
	switch {
	case !hasPort:
		return name, 0, nil
	case text == "":
		return "", 0, fmt.Errorf("name %q has no port after ':': write %q for the port that is dialled, or add the "+
			"one at which %s serves", s, name, name)
	case strings.Contains(text, ":"):
		return "", 0, fmt.Errorf("name %q has more than one ':': write name:port, such as %q", s, name+":8080")
	case strings.Trim(text, "0") == "":
		return "", 0, fmt.Errorf("name %q has the port 0: write %q for the port that is dialled, or add the one at "+
			"which %s serves", s, name, name)
	}
	if port, err = parsePort(text, name); err != nil {
		return "", 0, fmt.Errorf("name %q %w", s, err)
	}
	return name, port, nil
}

// parsePeerName parses a label or a DNS name with several labels, and returns the latter in canonical form.
func parsePeerName(name string) (string, error) {
	if !strings.Contains(name, ".") {
		return name, CheckLabel(name)
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return "", fmt.Errorf("name %q is an address: write the DNS name or the workload's name that %s stands for",
			name, addr)
	}
	p, err := parseName(name)
	switch {
	case err != nil:
		return "", fmt.Errorf("name %w", err)
	case p.kind == onWildcard:
		return "", fmt.Errorf("name %q has a wildcard, but a Peer is one workload or host: write one name", name)
	}
	if service, namespace, ok := ServiceName(p.name); ok {
		return service + "." + namespace + ".svc", nil
	}
	return p.name, nil
}

// Peers is a set of peers in which every pattern has one name and port. The zero value is empty.
type Peers struct {
	specificFirst []Peer
}

// NewPeers returns the set of the given peers, in any order. A pattern with two names or two ports is an error.
func NewPeers(peers ...Peer) (Peers, error) {
	sorted := slices.Clone(peers)
	slices.SortStableFunc(sorted, func(a, b Peer) int { return a.compare(b.Pattern) })
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; a.Pattern == b.Pattern && !a.same(b) {
			return Peers{}, fmt.Errorf("collect peers: %q is named %s and %s: keep one", a.Pattern, a.quoted(),
				b.quoted())
		}
	}
	return Peers{slices.CompactFunc(sorted, Peer.same)}, nil
}

// Match returns the peer with the most specific matching pattern; the zero Peer if none matches. A pattern with a port
// precedes one without. Then an address precedes localhost, a DNS name and a CIDR, in this order; of several CIDRs the
// longest wins.
func (p Peers) Match(addr netip.Addr, port uint16, dnsName string) Peer {
	for _, peer := range p.specificFirst {
		if peer.Pattern.Match(addr, port, dnsName) {
			return peer
		}
	}
	return Peer{}
}
