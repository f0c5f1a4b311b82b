package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// peerFit says how near a peer comes to a flow's far end: the further down, the nearer.
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

// portFit says how near a port comes to a flow's: the further down, the nearer.
type PortMatch uint8

const (
	OtherPort PortMatch = iota
	OtherProtocol
	PortByName // the pods resolve it, and what it is there is not known, or nothing
	PortMatches
)

type Match struct {
	Peer     PeerMatch
	Port     PortMatch
	Redirect bool // a person's word for the cluster's resolver
}

func (m Match) Allows() bool { return m.Redirect || m.Peer == PeerMatches && m.Port == PortMatches }

func (m Match) Compare(n Match) int {
	return cmp.Or(cmp.Compare(m.Peer, n.Peer), cmp.Compare(m.Port, n.Port))
}

// fitRange holds a range of addresses against another one.
func MatchRange(cidr string, except []string, addresses netip.Prefix) PeerMatch {
	prefix, err := netip.ParsePrefix(cidr)
	overlaps := func(text string) bool {
		e, err := netip.ParsePrefix(text)
		return err == nil && e.Overlaps(addresses)
	}
	switch {
	case err != nil || !Holds(prefix, addresses):
		return OtherPeer
	case slices.ContainsFunc(except, overlaps):
		return Excepted
	}
	return PeerMatches
}

// openShiftPort is that of OpenShift's resolver, behind port 53 of its Service.
const openShiftPort = 5353

func isDNSPort(port int32) bool { return port == ResolverPort || port == openShiftPort }

// namespaceOf returns a peer's namespace, or [anyNamespace], which no selector but one for all namespaces has.
func NamespaceOf(w Workload, d Direction, subject Workload, namespace string) string {
	if CallsFromAnyNamespace(d, w, subject) {
		return AnyNamespace
	}
	return cmp.Or(w.Namespace, namespace)
}

// exceptIn returns the first of a range's exceptions that holds an address, or "" if none does.
func ExceptIn(excepted []string, addr netip.Addr) string {
	for _, e := range excepted {
		if p, err := netip.ParsePrefix(e); err == nil && p.Contains(addr) {
			return e
		}
	}
	return ""
}
