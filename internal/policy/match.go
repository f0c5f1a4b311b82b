package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// PeerMatch says how near a peer comes to a flow's far end: the further down, the nearer.
type PeerMatch uint8

const (
	OtherKind      PeerMatch = iota // pods for an address, or the reverse
	OtherPeer                       // other labels, or another range
	OtherNamespace                  // the pods, but in another namespace
	Excepted                        // inside the range, but also inside an except
	NameNotListed                   // the range, but only for names that are not this one
	NamedElsewhere                  // the name, but on another port or protocol
	LookupNotRead                   // the name, but nothing lets Cilium read the look-up
	PeerMatches
	Reserved // everywhere, at the flow's very port; but by an annotation for others
)

// PortMatch says how near a port comes to a flow's: the further down, the nearer.
type PortMatch uint8

const (
	OtherPort PortMatch = iota
	OtherProtocol
	PortByName // the pods resolve it, and what it is there is not known, or nothing
	PortMatches
)

// Match says how a peer and a port of a rule match a flow.
type Match struct {
	Peer     PeerMatch
	Port     PortMatch
	Redirect bool // a person's word for the cluster's resolver
}

// Allows reports whether the rule allows the flow.
func (m Match) Allows() bool { return m.Redirect || m.Peer == PeerMatches && m.Port == PortMatches }

// Compare orders matches: the greater one is nearer to the flow.
func (m Match) Compare(n Match) int {
	return cmp.Or(cmp.Compare(m.Peer, n.Peer), cmp.Compare(m.Port, n.Port))
}

// MatchRange holds a range of addresses against another one.
func MatchRange(cidr string, except []string, addresses netip.Prefix) PeerMatch {
	prefix, err := netip.ParsePrefix(cidr)
	overlaps := func(text string) bool {
		e, err := netip.ParsePrefix(text)
		return err == nil && e.Overlaps(addresses)
	}
	switch {
	case err != nil || !ContainsPrefix(prefix, addresses):
		return OtherPeer
	case slices.ContainsFunc(except, overlaps):
		return Excepted
	}
	return PeerMatches
}

// openShiftPort is that of OpenShift's resolver, behind port 53 of its Service.
const openShiftPort = 5353

func isDNSPort(port int32) bool { return port == ResolverPort || port == openShiftPort }

// NamespaceOf returns a peer's namespace, or [anyNamespace], which no selector but one for all namespaces has.
func NamespaceOf(w Workload, d Direction, subject Workload, namespace string) string {
	if CallsFromAnyNamespace(d, w, subject) {
		return AnyNamespace
	}
	return cmp.Or(w.Namespace, namespace)
}

// ExceptionFor returns the first of a range's exceptions that holds an address, or "" if none does.
func ExceptionFor(excepted []string, addr netip.Addr) string {
	for _, e := range excepted {
		if p, err := netip.ParsePrefix(e); err == nil && p.Contains(addr) {
			return e
		}
	}
	return ""
}
