package networkpolicy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// reservationsOf returns the well-formed entries of a policy for a direction.
func reservationsOf(p metav1.Object, d policy.Direction) []policy.Reservation {
	var all []policy.Reservation
	for _, annotation := range policy.ReservationAnnotations(d) {
		for _, entry := range policy.EntriesOf(p, annotation) {
			if r, err := policy.ParseReservation(annotation, entry); err == nil {
				all = append(all, r)
			}
		}
	}
	return all
}

// reservationsFor returns the entries that a flow of a subject needs, or none if a selector can match its peer end.
func (d Dialect) reservationsFor(
	subject policy.Workload, direction policy.Direction, f flow.Flow,
) []policy.Reservation {
	peerEnd := direction.PeerEnd(f)
	r := policy.Reservation{Protocol: f.Protocol}
	switch {
	case direction == policy.Egress && policy.IsAPIServer(peerEnd) && !peerEnd.Addr.IsValid():
		r.Annotation = policy.APIServerAnnotation
	case policy.UsesHostNetwork(peerEnd):
		r.Annotation, r.Workload = policy.HostNetworkAnnotation, d.Spelled(subject, peerEnd)
		if direction == policy.Ingress {
			r.Annotation = policy.HostNetworkIngressAnnotation
		}
	default:
		return nil
	}
	var all []policy.Reservation
	for _, r.Port = range policy.WrittenPorts(f) {
		all = append(all, r)
	}
	return all
}

// matchEverywhere compares a flow with a rule without peers, at one of its ports; a nil port means all ports.
func (v applicable) matchEverywhere(port *networkingv1.NetworkPolicyPort, f flow.Flow) policy.PeerMatch {
	listed := false
	for _, r := range v.reserved {
		if r.Protocol != f.Protocol || !slices.Contains(policy.AcceptedPorts(f), r.Port) {
			continue
		}
		if !isPortOf(r, port) && v.matchPort(port, f) == policy.PortMatches {
			continue // a person who opens a range, or all ports, opens it to every peer
		}
		if r.IsFor(v.scope.Scope, v.namespace, v.direction, f) {
			return policy.PeerMatches
		}
		listed = true
	}
	if listed {
		return policy.Reserved
	}
	return policy.PeerMatches
}

// reserves reports whether a rule without peers is, at one of its ports, reserved for other peers than that of a flow.
// The flow's own port does not count.
func (v applicable) reserves(port *networkingv1.NetworkPolicyPort, f flow.Flow) bool {
	listed := false
	for _, r := range v.reserved {
		if !isPortOf(r, port) {
			continue
		}
		listed = true
		if f.Protocol, f.Port = r.Protocol, r.Port; r.IsFor(v.scope.Scope, v.namespace, v.direction, f) {
			return false
		}
	}
	return listed
}

// isPortOf reports whether a rule's port is exactly the entry's port.
func isPortOf(r policy.Reservation, port *networkingv1.NetworkPolicyPort) bool {
	return port != nil && port.Port != nil && port.Port.Type == intstr.Int && port.EndPort == nil &&
		port.Port.IntVal == int32(r.Port) && portProtocol(port) == r.Protocol
}

// reservedBy returns the entries that reserve a rule's ports.
func reservedBy(all []policy.Reservation, ports []networkingv1.NetworkPolicyPort) []policy.Reservation {
	return slices.DeleteFunc(slices.Clone(all), func(r policy.Reservation) bool {
		return !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return isPortOf(r, &p) })
	})
}

// matchBlockBeyond compares a range of addresses with a peer that no selector matches. If the peer's address is
// unknown, any range counts, because a person may have written it for that peer. Exceptions are a range that covers
// only the internet, and the address of another recorded endpoint.
func (v applicable) matchBlockBeyond(block *networkingv1.IPBlock, peerEnd flow.Endpoint) policy.PeerMatch {
	prefix, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return policy.OtherPeer
	}
	if addr := policy.EndpointAddress(peerEnd); policy.IsAPIServer(peerEnd) && addr.IsValid() {
		switch {
		case !prefix.Contains(addr):
			return policy.OtherPeer
		case policy.ExceptionFor(block.Except, addr) != "":
			return policy.Excepted
		}
		return policy.PeerMatches
	}
	isElsewhere := prefix.IsSingleIP() && slices.Contains(v.scope.Addresses, prefix.Addr())
	if isElsewhere || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() ||
		exceptsPrivate(prefix, block.Except) {
		return policy.OtherPeer
	}
	return policy.PeerMatches
}

// privateRanges are the usual ranges of cluster nodes: RFC 1918 and RFC 4193.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

// exceptsPrivate reports whether a range contains private ranges and excepts them all.
func exceptsPrivate(prefix netip.Prefix, except []string) bool {
	contains := false
	for _, private := range privateRanges {
		if !policy.ContainsPrefix(prefix, private) {
			continue
		}
		contains = true
		if !slices.ContainsFunc(except, func(text string) bool {
			e, err := netip.ParsePrefix(text)
			return err == nil && policy.ContainsPrefix(e, private)
		}) {
			return false
		}
	}
	return contains
}

// annotateEverywhere lists the peers that rules without peers in a subject's policy are for. It reports whether it
// added any.
func (d Dialect) annotateEverywhere(
	p *networkingv1.NetworkPolicy, subject policy.Workload, direction policy.Direction, flows []flow.Flow,
) bool {
	added := false
	for _, f := range flows {
		reservations := d.reservationsFor(subject, direction, f)
		if len(reservations) == 0 || d.inexpressible(direction, f) != "" {
			continue
		}
		for _, r := range reservations {
			before := p.Annotations[r.Annotation]
			policy.AddEntry(p, r.Annotation, r.String())
			added = added || p.Annotations[r.Annotation] != before
		}
	}
	return added
}

// dropEverywhere removes the entries that no flow needs.
func (m *merging) dropEverywhere(p *networkingv1.NetworkPolicy, d policy.Direction) {
	subjects := m.scope.isolatedBy(p, d)
	for _, annotation := range policy.ReservationAnnotations(d) {
		policy.DropEntries(p, annotation, func(entry string) bool {
			r, err := policy.ParseReservation(annotation, entry)
			return err != nil || slices.ContainsFunc(subjects, func(subject policy.Subject) bool {
				namespace := m.scope.applicablePolicies([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0].namespace
				return slices.ContainsFunc(m.flows.Of(subject.Workload, d), func(f flow.Flow) bool {
					return r.IsFor(m.scope.Scope, namespace, d, f)
				})
			})
		})
	}
}

// uniteEverywhere removes the entries for ports that one of the parts opens to any peer from a union.
func uniteEverywhere(united *networkingv1.NetworkPolicy, parts []*networkingv1.NetworkPolicy) {
	for _, d := range policy.Directions {
		for _, annotation := range policy.ReservationAnnotations(d) {
			policy.DropEntries(united, annotation, func(entry string) bool {
				r, err := policy.ParseReservation(annotation, entry)
				return err != nil || !slices.ContainsFunc(parts, func(p *networkingv1.NetworkPolicy) bool {
					return opensToAll(p, d, r)
				})
			})
		}
	}
}

// opensToAll reports whether a rule of a policy names the port of an entry and opens it to any peer.
func opensToAll(p *networkingv1.NetworkPolicy, d policy.Direction, r policy.Reservation) bool {
	for _, own := range reservationsOf(p, d) {
		if own.Port == r.Port && own.Protocol == r.Protocol {
			return false
		}
	}
	return slices.ContainsFunc(RulesOf(p, d), func(rule Rule) bool {
		return len(rule.Peers) == 0 && len(reservedBy([]policy.Reservation{r}, rule.Ports)) > 0
	})
}

// explainReserved returns why a rule without peers does not match a flow.
func (c candidate) explainReserved(rule string, f flow.Flow) string {
	var annotations []string
	for _, r := range c.policy.reserved {
		if r.Port == f.Port && r.Protocol == f.Protocol && !slices.Contains(annotations, r.Annotation) {
			annotations = append(annotations, r.Annotation)
		}
	}
	return fmt.Sprintf("port %d/%s of %s is not for %s, by the annotation %s", f.Port, f.Protocol, rule,
		c.policy.scope.Describe(c.policy.direction, c.policy.direction.PeerEnd(f)), strings.Join(annotations, " and "))
}

// isBeyondSelectors reports whether the peer end of flows in a direction is in or next to the cluster and no pod
// selector matches it. The API server as a caller is not recorded.
func isBeyondSelectors(d policy.Direction, e flow.Endpoint) bool {
	return d == policy.Egress && policy.IsAPIServer(e) || policy.UsesHostNetwork(e)
}

// needsEveryRule reports whether any rule may match a flow in a direction, so that the index cannot narrow them down.
func needsEveryRule(d policy.Direction, f flow.Flow) bool {
	return f.Destination.Kind == flow.Resolver || isBeyondSelectors(d, d.PeerEnd(f))
}
