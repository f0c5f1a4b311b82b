package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// PeerMatch states how closely a rule's peer matches the peer end of a flow: a greater value is closer.
type PeerMatch uint8

const (
	OtherKind      PeerMatch = iota // pods for an address, or the reverse
	OtherPeer                       // other labels, or another range
	OtherNamespace                  // the pods, but in another namespace
	Excepted                        // inside the range, but also inside an exception
	NameNotListed                   // the range, but the list of names does not hold this name
	NamedElsewhere                  // the name, but at another port or protocol
	LookupNotRead                   // the name, but no rule lets Cilium read the lookup
	PeerMatches
	Reserved // everywhere, at the flow's own port, but an annotation reserves it for others
)

// PortMatch states how closely a rule's port matches that of a flow: a greater value is closer.
type PortMatch uint8

const (
	OtherPort PortMatch = iota
	OtherProtocol
	PortByName // a port name; the pods have no known port of that name
	PortMatches
)

// RequestMatch states whether the HTTP rules for a port allow the requests of a flow. The zero value is that they do,
// or that there are none.
type RequestMatch uint8

const (
	RequestMatches  RequestMatch = iota
	RequestsUnknown              // the flow is opaque
	OtherRequest
)

// Match states how a peer and a port of a rule match a flow.
type Match struct {
	Peer     PeerMatch
	Port     PortMatch
	Request  RequestMatch
	Redirect bool // a hand-written rule that stands for the cluster's resolver
}

// Allows reports whether the rule allows the flow.
func (m Match) Allows() bool {
	return m.Redirect || m.Peer == PeerMatches && m.Port == PortMatches && m.Request == RequestMatches
}

// Compare orders matches: the greater one is closer to the flow.
func (m Match) Compare(n Match) int {
	return cmp.Or(cmp.Compare(m.Peer, n.Peer), cmp.Compare(m.Port, n.Port), cmp.Compare(n.Request, m.Request))
}

// MatchRange compares a range of addresses with another one.
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

// openShiftPort is the port of OpenShift's resolver, behind port 53 of its Service.
const openShiftPort = 5353

func isDNSPort(port int32) bool { return port == ResolverPort || port == openShiftPort }

// NamespaceOf returns a peer's namespace, or [AnyNamespace], which only a selector for all namespaces matches.
func NamespaceOf(w Workload, d Direction, subject Workload, namespace string) string {
	if CallsFromAnyNamespace(d, w, subject) {
		return AnyNamespace
	}
	return cmp.Or(w.Namespace, namespace)
}

// ExceptionFor returns the first of a range's exceptions that contains an address, or "" if none does.
func ExceptionFor(excepted []string, addr netip.Addr) string {
	for _, e := range excepted {
		if p, err := netip.ParsePrefix(e); err == nil && p.Contains(addr) {
			return e
		}
	}
	return ""
}
