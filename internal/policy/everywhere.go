package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The annotations of a NetworkPolicy that say for whom a rule without peers is. No selector finds the API server, nor
// pods on the network of their nodes; where their addresses are not known, a rule opens their ports to all addresses.
// Kubernetes does not read the annotations, but the verdict does: at a port that is listed, such a rule is for those
// who are listed alone. Each is a sorted, comma-separated list.
const (
	// APIServerAnnotation lists ports: "443/TCP,6443/TCP".
	APIServerAnnotation = "netzero.dev/egress-api-server"
	// HostNetworkAnnotation lists workloads with their ports: "node-exporter.monitoring.svc:9100/TCP". One without a
	// namespace is in that of the policy.
	HostNetworkAnnotation = "netzero.dev/egress-host-network"
	// HostNetworkIngressAnnotation lists callers, with the port that they call: "agent.monitoring.svc:5432/TCP".
	HostNetworkIngressAnnotation = "netzero.dev/ingress-host-network"
)

// everywhereAnnotations are those of a direction.
func everywhereAnnotations(d direction) []string {
	if d == ingress {
		return []string{HostNetworkIngressAnnotation}
	}
	return []string{APIServerAnnotation, HostNetworkAnnotation}
}

// reservation is one entry of these annotations: who may use rules without peers at a port.
type reservation struct {
	annotation string
	workload   string // as the annotation spells it; empty for the API server
	port       uint16
	protocol   flow.Protocol
}

func (r reservation) String() string {
	port := fmt.Sprintf("%d/%s", r.port, r.protocol)
	if r.workload == "" {
		return port
	}
	return r.workload + ":" + port
}

// parseReservation reads one entry, which has to be as [reservation.String] writes it.
func parseReservation(annotation, entry string) (reservation, error) {
	r := reservation{annotation: annotation}
	rest, want := entry, "6443/TCP"
	if annotation != APIServerAnnotation {
		want = "node-exporter.monitoring.svc:9100/TCP"
		r.workload, rest, _ = strings.Cut(entry, ":")
	}
	number, protocol, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	r.port, r.protocol = uint16(n), protocolOf(corev1.Protocol(protocol))
	isNamed := annotation == APIServerAnnotation || r.workload != "" && isWorkloadName(r.workload)
	if err != nil || r.port == 0 || r.protocol == 0 || !isNamed || r.String() != entry {
		return reservation{}, fmt.Errorf("read %q: want an entry such as %s", entry, want)
	}
	return r, nil
}

// reservationsOf returns the well-formed entries of a policy for a direction.
func reservationsOf(p metav1.Object, d direction) []reservation {
	var all []reservation
	for _, annotation := range everywhereAnnotations(d) {
		for _, entry := range entriesOf(p, annotation) {
			if r, err := parseReservation(annotation, entry); err == nil {
				all = append(all, r)
			}
		}
	}
	return all
}

// reservationsFor returns the entries that a flow of a subject needs, none where its far end is not one of these.
func (s Scope) reservationsFor(subject Workload, d direction, f flow.Flow) []reservation {
	far := d.far(f)
	r := reservation{protocol: f.Protocol}
	switch {
	case d == egress && isAPIServer(far) && !far.Addr.IsValid():
		r.annotation = APIServerAnnotation
	case usesHostNetwork(far):
		r.annotation, r.workload = HostNetworkAnnotation, s.spelled(subject, far)
		if d == ingress {
			r.annotation = HostNetworkIngressAnnotation
		}
	default:
		return nil
	}
	var all []reservation
	for _, r.port = range writtenPorts(f) {
		all = append(all, r)
	}
	return all
}

// isFor reports whether an entry of a policy in a namespace is for a flow.
func (r reservation) isFor(s Scope, namespace string, d direction, f flow.Flow) bool {
	far := d.far(f)
	switch {
	case r.protocol != f.Protocol || !slices.Contains(acceptedPorts(f), r.port):
		return false
	case r.annotation == APIServerAnnotation:
		return isAPIServer(far)
	}
	return usesHostNetwork(far) && slices.Contains(s.spellings(namespace, far), r.workload)
}

// fitEverywhere holds a flow against a rule without peers, at one of its ports; nil is all of them.
func (v view) fitEverywhere(port *networkingv1.NetworkPolicyPort, f flow.Flow) peerFit {
	listed := false
	for _, r := range v.reserved {
		if r.protocol != f.Protocol || !slices.Contains(acceptedPorts(f), r.port) {
			continue
		}
		if !r.isPortOf(port) && v.fitPort(port, f) == portFits {
			continue // who opens a range, or all ports, means what they say
		}
		if r.isFor(v.scope, v.namespace, v.direction, f) {
			return peerFits
		}
		listed = true
	}
	if listed {
		return reserved
	}
	return peerFits
}

// keepsLookup reports whether a rule without peers, at one of its ports, is for others than whose name was looked up.
func (v view) keepsLookup(port *networkingv1.NetworkPolicyPort, f flow.Flow) bool {
	listed := false
	for _, r := range v.reserved {
		if !r.isPortOf(port) {
			continue
		}
		listed = true
		if f.Protocol, f.Port = r.protocol, r.port; r.isFor(v.scope, v.namespace, v.direction, f) {
			return false
		}
	}
	return listed
}

// isPortOf reports whether a rule names the entry's port, alone.
func (r reservation) isPortOf(port *networkingv1.NetworkPolicyPort) bool {
	return port != nil && port.Port != nil && port.Port.Type == intstr.Int && port.EndPort == nil &&
		port.Port.IntVal == int32(r.port) && portProtocol(port) == r.protocol
}

// reservedBy returns the entries that keep others from a rule's ports.
func reservedBy(all []reservation, ports []networkingv1.NetworkPolicyPort) []reservation {
	return slices.DeleteFunc(slices.Clone(all), func(r reservation) bool {
		return !slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return r.isPortOf(&p) })
	})
}

// fitBlockBeyond holds a range of addresses against who is beyond selectors. Where nobody knows their addresses, who
// writes a range for their port does; but what lies on the internet alone, or is the address of somebody else, is not
// meant.
func (v view) fitBlockBeyond(block *networkingv1.IPBlock, far flow.Endpoint) peerFit {
	prefix, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return otherPeer
	}
	if addr := address(far); isAPIServer(far) && addr.IsValid() {
		switch {
		case !prefix.Contains(addr):
			return otherPeer
		case exceptIn(block.Except, addr) != "":
			return excepted
		}
		return peerFits
	}
	isElsewhere := prefix.IsSingleIP() && slices.Contains(v.scope.Addresses, prefix.Addr())
	if isElsewhere || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() ||
		leavesOutPrivate(prefix, block.Except) {
		return otherPeer
	}
	return peerFits
}

// AddressesOf returns the addresses that rules for flows have, sorted; see [Scope].
func AddressesOf(flows []flow.Flow) []netip.Addr {
	var all []netip.Addr
	for _, f := range flows {
		for _, e := range []flow.Endpoint{f.Source, f.Destination} {
			if addr := address(e); addr.IsValid() && (e.Kind == flow.Address || e.Kind == flow.External) {
				all = append(all, addr)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// privateRanges are where clusters have their nodes: RFC 1918 and RFC 4193.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

// leavesOutPrivate reports whether a range holds private ranges and excepts them all.
func leavesOutPrivate(prefix netip.Prefix, except []string) bool {
	held := false
	for _, private := range privateRanges {
		if !holds(prefix, private) {
			continue
		}
		held = true
		if !slices.ContainsFunc(except, func(text string) bool {
			e, err := netip.ParsePrefix(text)
			return err == nil && holds(e, private)
		}) {
			return false
		}
	}
	return held
}

// annotateEverywhere lists for whom a subject's policy has rules without peers.
func (s Scope) annotateEverywhere(p *networkingv1.NetworkPolicy, subject Workload, d direction, flows []flow.Flow) {
	for _, f := range flows {
		if s.inexpressible(d, f) != "" {
			continue
		}
		for _, r := range s.reservationsFor(subject, d, f) {
			addEntry(p, r.annotation, r.String())
		}
	}
}

// dropEverywhere removes the entries that no flow needs.
func (m *merging) dropEverywhere(p *networkingv1.NetworkPolicy, d direction) {
	subjects := m.scope.isolatedBy(p, d)
	for _, annotation := range everywhereAnnotations(d) {
		dropEntries(p, annotation, func(entry string) bool {
			r, err := parseReservation(annotation, entry)
			return err != nil || slices.ContainsFunc(subjects, func(subject Subject) bool {
				namespace := m.scope.views([]*networkingv1.NetworkPolicy{p}, subject.Workload, d)[0].namespace
				return slices.ContainsFunc(m.scope.of(subject.Workload, d, m.flows), func(f flow.Flow) bool {
					return r.isFor(m.scope, namespace, d, f)
				})
			})
		})
	}
}

// uniteEverywhere removes from a union the entries of ports that one of its parts opens to everybody.
func uniteEverywhere(united *networkingv1.NetworkPolicy, parts []*networkingv1.NetworkPolicy) {
	for _, d := range directions {
		for _, annotation := range everywhereAnnotations(d) {
			dropEntries(united, annotation, func(entry string) bool {
				r, err := parseReservation(annotation, entry)
				return err != nil || !slices.ContainsFunc(parts, func(p *networkingv1.NetworkPolicy) bool {
					return opensToAll(p, d, r)
				})
			})
		}
	}
}

// opensToAll reports whether a policy opens the port of an entry to everybody, in a rule that names it.
func opensToAll(p *networkingv1.NetworkPolicy, d direction, r reservation) bool {
	for _, own := range reservationsOf(p, d) {
		if own.port == r.port && own.protocol == r.protocol {
			return false
		}
	}
	return slices.ContainsFunc(rulesOf(p, d), func(rule rule) bool {
		return len(rule.peers) == 0 && len(reservedBy([]reservation{r}, rule.ports)) > 0
	})
}

// explainReserved says why a rule without peers is not for a flow.
func (c candidate) explainReserved(rule string, f flow.Flow) string {
	var annotations []string
	for _, r := range c.view.reserved {
		if r.port == f.Port && r.protocol == f.Protocol && !slices.Contains(annotations, r.annotation) {
			annotations = append(annotations, r.annotation)
		}
	}
	return fmt.Sprintf("port %d/%s of %s is not for %s, by the annotation %s", f.Port, f.Protocol, rule,
		c.view.scope.describe(c.view.direction, c.view.direction.far(f)), strings.Join(annotations, " and "))
}
