package endpoint

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Peer is a destination that the user named, because no test can know what stands there.
type Peer struct {
	Pattern
	Name    string // a DNS-1123 label, which is the app label of the peer's pods, or a DNS name
	PodPort uint16 // the port at which those pods serve; 0 is the one that was dialled
	At      string // where the user named it, such as "shop_test.go:31"; may be empty, and tells no peers apart

	APIServer bool // it is no pods, but the cluster's API server, and Name that of its Service
}

// same reports whether two peers say the same, wherever they were named.
func (p Peer) same(other Peer) bool {
	p.At, other.At = "", ""
	return p == other
}

// namePort returns the name as the user writes it: "search", or "search:8080".
func (p Peer) namePort() string {
	if p.PodPort == 0 {
		return p.Name
	}
	return p.Name + ":" + strconv.Itoa(int(p.PodPort))
}

// said returns the name as the user wrote it, in quotes, and where.
func (p Peer) said() string {
	if p.At == "" {
		return strconv.Quote(p.namePort())
	}
	return strconv.Quote(p.namePort()) + " at " + p.At
}

// Exact reports whether the pattern names the port that is dialled.
func (p Peer) Exact() bool { return p.port != 0 }

// ParsePeer parses what the option Peer was given. address is host:port, an IP address, [IPv6]:port, a CIDR (without
// port), or a DNS name with or without port; "localhost" is every loopback address. name is a DNS-1123 label or a DNS
// name, such as "search.shop" or "api.stripe.com", and may end in :port, the port at which the real peer serves where
// that is not the one that the test dials; or it is the API server: "kubernetes.default.svc:443", in any form of the name
// that pods use.
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
		return "", 0, fmt.Errorf("name %q has no port after ':': write %q for the port that is dialled, or add the one at which %s serves", s, name, name)
	case strings.Contains(text, ":"):
		return "", 0, fmt.Errorf("name %q has more than one ':': write name:port, such as %q", s, name+":8080")
	case strings.Trim(text, "0") == "":
		return "", 0, fmt.Errorf("name %q has the port 0: write %q for the port that is dialled, or add the one at which %s serves", s, name, name)
	}
	if port, err = parsePort(text, name); err != nil {
		return "", 0, fmt.Errorf("name %q %w", s, err)
	}
	return name, port, nil
}

// parsePeerName parses a label, or a DNS name of several, which it returns as names are compared.
func parsePeerName(name string) (string, error) {
	if !strings.Contains(name, ".") {
		return name, CheckLabel(name)
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return "", fmt.Errorf("name %q is an address: write the DNS name or the workload's name that %s stands for", name, addr)
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

// NewPeers returns the set of the given peers, in any order. One pattern with two names or two ports is an error.
func NewPeers(peers ...Peer) (Peers, error) {
	sorted := slices.Clone(peers)
	slices.SortStableFunc(sorted, func(a, b Peer) int { return a.compare(b.Pattern) })
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; a.Pattern == b.Pattern && !a.same(b) {
			return Peers{}, fmt.Errorf("collect peers: %q is named %s and %s: keep one", a.Pattern, a.said(), b.said())
		}
	}
	return Peers{slices.CompactFunc(sorted, Peer.same)}, nil
}

// Match returns the peer whose pattern fits best, the zero Peer where none fits. With a port goes before without; then
// an address goes before localhost, that before a DNS name, and that before a CIDR, of which the longest wins.
func (p Peers) Match(addr netip.Addr, port uint16, dnsName string) Peer {
	for _, peer := range p.specificFirst {
		if peer.Pattern.Match(addr, port, dnsName) {
			return peer
		}
	}
	return Peer{}
}
