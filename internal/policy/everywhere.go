package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The annotations of a NetworkPolicy that say which peers a rule without peers is meant for. No selector matches the
// API server, or pods on the network of their nodes. Where their addresses are unknown, a rule opens their ports to
// all addresses. Kubernetes ignores the annotations, but the verdict reads them: at a listed port such a rule allows
// only the listed peers. Each value is a sorted, comma-separated list.
const (
	// APIServerAnnotation lists ports: "443/TCP,6443/TCP".
	APIServerAnnotation = "netzero.dev/egress-api-server"
	// HostNetworkAnnotation lists workloads with their ports: "node-exporter.monitoring.svc:9100/TCP". An entry
	// without a namespace means the policy's namespace.
	HostNetworkAnnotation = "netzero.dev/egress-host-network"
	// HostNetworkIngressAnnotation lists callers with the port that they connect to: "agent.monitoring.svc:5432/TCP".
	HostNetworkIngressAnnotation = "netzero.dev/ingress-host-network"
)

// ReservationAnnotations returns the annotations of a direction.
func ReservationAnnotations(d Direction) []string {
	if d == Ingress {
		return []string{HostNetworkIngressAnnotation}
	}
	return []string{APIServerAnnotation, HostNetworkAnnotation}
}

// Reservation is one entry of these annotations: a peer that may use rules without peers at a port.
type Reservation struct {
	Annotation string
	Workload   string // as the annotation spells it; empty for the API server
	Port       uint16
	Protocol   flow.Protocol
}

// String returns the reservation as an annotation lists it.
func (r Reservation) String() string {
	port := fmt.Sprintf("%d/%s", r.Port, r.Protocol)
	if r.Workload == "" {
		return port
	}
	return r.Workload + ":" + port
}

// ParseReservation parses one entry. It accepts only the form that [Reservation.String] writes.
func ParseReservation(annotation, entry string) (Reservation, error) {
	r := Reservation{Annotation: annotation}
	rest, want := entry, "6443/TCP"
	if annotation != APIServerAnnotation {
		want = "node-exporter.monitoring.svc:9100/TCP"
		r.Workload, rest, _ = strings.Cut(entry, ":")
	}
	number, protocol, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	r.Port, r.Protocol = uint16(n), ProtocolOf(corev1.Protocol(protocol))
	isNamed := annotation == APIServerAnnotation || r.Workload != "" && isWorkloadName(r.Workload)
	if err != nil || r.Port == 0 || r.Protocol == 0 || !isNamed || r.String() != entry {
		return Reservation{}, fmt.Errorf("read %q: want an entry such as %s", entry, want)
	}
	return r, nil
}

// IsFor reports whether an entry of a policy in a namespace applies to a flow.
func (r Reservation) IsFor(s Scope, namespace string, d Direction, f flow.Flow) bool {
	peerEnd := d.PeerEnd(f)
	switch {
	case r.Protocol != f.Protocol || !slices.Contains(AcceptedPorts(f), r.Port):
		return false
	case r.Annotation == APIServerAnnotation:
		return IsAPIServer(peerEnd)
	}
	return UsesHostNetwork(peerEnd) && slices.Contains(s.spellings(namespace, peerEnd), r.Workload)
}

// AddressesOf returns the addresses in rules for the flows, sorted; see Addresses in [Scope].
func AddressesOf(flows []flow.Flow) []netip.Addr {
	var all []netip.Addr
	for _, f := range flows {
		for _, e := range []flow.Endpoint{f.Source, f.Destination} {
			if addr := EndpointAddress(e); addr.IsValid() && (e.Kind == flow.Address || e.Kind == flow.External) {
				all = append(all, addr)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
