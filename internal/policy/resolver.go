package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Resolver is a place where the DNS of a cluster listens: pods, or addresses that are no pods'.
type Resolver struct {
	Namespace string            // of pods
	Labels    map[string]string // of pods
	Addresses netip.Prefix      // instead of pods, such as 169.254.20.10/32 of NodeLocal DNSCache
	Ports     []uint16          // of the pods, or at the addresses; none is 53
}

// DefaultResolver is where every common distribution has it.
var DefaultResolver = Resolver{Namespace: flow.ClusterResolver.Namespace, Labels: ResolverLabels}

// key tells the places of one scope apart.
func (r Resolver) key() string {
	if r.Addresses.IsValid() {
		return r.Addresses.String()
	}
	return labels.Set(r.Labels).String()
}

// Equal reports whether two resolvers are the same place.
func (r Resolver) Equal(q Resolver) bool { return r.key() == q.key() && r.Namespace == q.Namespace }

// PortsOrDefault returns the ports of the resolver; port 53 if none are set.
func (r Resolver) PortsOrDefault() []uint16 {
	if len(r.Ports) == 0 {
		return []uint16{ResolverPort}
	}
	return r.Ports
}

// String returns it as reasons name it.
func (r Resolver) String() string {
	if r.Addresses.IsValid() {
		return "addresses " + r.Addresses.String()
	}
	return "pods " + labels.Set(r.Labels).String() + " in namespace " + r.Namespace
}

// ResolverOf returns the place that an endpoint of the kind Resolver is.
func (s Scope) ResolverOf(e flow.Endpoint) Resolver {
	for _, r := range s.Resolvers {
		if r.key() == e.Name && r.Namespace == e.Namespace {
			return r
		}
	}
	return DefaultResolver
}

// atResolvers returns a flow to the cluster's resolver as one to each port of each place where it is said to be. Any other
// flow is returned as it is.
func (s Scope) atResolvers(f flow.Flow) []flow.Flow {
	isPlaced := func(r Resolver) bool { return r.key() == f.Destination.Name && r.Namespace == f.Destination.Namespace }
	if len(s.Resolvers) == 0 || f.Destination.Kind != flow.Resolver || f.Port != ResolverPort || slices.ContainsFunc(s.Resolvers, isPlaced) {
		return []flow.Flow{f}
	}
	var all []flow.Flow
	for _, r := range s.Resolvers {
		for _, port := range r.PortsOrDefault() {
			g := f
			g.Destination.Name, g.Destination.Namespace, g.Port = r.key(), r.Namespace, port
			all = append(all, g)
		}
	}
	return all
}

// FlowsAtResolvers returns flows, those to the resolver once for each of its places.
func (s Scope) FlowsAtResolvers(flows []flow.Flow) []flow.Flow {
	if len(s.Resolvers) == 0 {
		return flows
	}
	var all []flow.Flow
	for _, f := range flows {
		all = append(all, s.atResolvers(f)...)
	}
	return all
}

// EvaluateAtResolvers evaluates a flow at each of the places of the resolver.
func (s Scope) EvaluateAtResolvers(f flow.Flow, evaluate func(flow.Flow) Verdict) Verdict {
	var all []Verdict
	for _, g := range s.atResolvers(f) {
		all = append(all, evaluate(g))
	}
	if len(all) == 1 {
		return all[0]
	}
	return join(all)
}

// IsResolverPort reports whether the resolver is asked at a port.
func (s Scope) IsResolverPort(port uint16) bool {
	if len(s.Resolvers) == 0 {
		return isDNSPort(int32(port))
	}
	return port == ResolverPort || slices.ContainsFunc(s.Resolvers, func(r Resolver) bool { return slices.Contains(r.PortsOrDefault(), port) })
}

// DNSPorts says what a port of a rule has to do with DNS.
type DNSPorts uint8

const (
	NoDNS       DNSPorts = iota
	IncludesDNS          // every port, a range, or a name that pods give to their port for DNS
	NamesDNS             // the number of a port for DNS
)

// ClassifyPorts says it of the ports from first to last, where the resolver is asked at one.
func (s Scope) ClassifyPorts(first, last int32, asked uint16) DNSPorts {
	isDNS := func(port int32) bool {
		if len(s.Resolvers) > 0 {
			return port == int32(asked)
		}
		return isDNSPort(port)
	}
	if first == last {
		if isDNS(first) {
			return NamesDNS
		}
		return NoDNS
	}
	for _, port := range []int32{ResolverPort, openShiftPort, int32(asked)} {
		if first <= port && port <= last && isDNS(port) {
			return IncludesDNS
		}
	}
	return NoDNS
}

// IsDNSName reports whether a port's name is one that resolvers give to their ports, such as "dns-tcp" and "domain".
func IsDNSName(port string) bool { return strings.HasPrefix(port, "dns") || port == "domain" }

// nodeLocalAddresses are those of NodeLocal DNSCache: its own, and Kubespray's.
var nodeLocalAddresses = []netip.Addr{netip.MustParseAddr("169.254.20.10"), netip.MustParseAddr("169.254.25.10")}

// HoldsNodeLocal reports whether a range of addresses lets queries to NodeLocal DNSCache through.
func HoldsNodeLocal(cidr string, except []string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && slices.ContainsFunc(nodeLocalAddresses, func(a netip.Addr) bool { return prefix.Contains(a) && ExceptionFor(except, a) == "" })
}

// MentionsDNS reports whether a selector asks for a label that has DNS in it, as those of resolvers and of their namespaces
// have: "k8s-app: node-local-dns", "app.kubernetes.io/name: coredns", "kubernetes.io/metadata.name: openshift-dns".
func MentionsDNS(selector *metav1.LabelSelector) bool {
	if selector == nil {
		return false
	}
	for key, value := range selector.MatchLabels {
		if strings.Contains(key, "dns") || strings.Contains(value, "dns") {
			return true
		}
	}
	return slices.ContainsFunc(selector.MatchExpressions, func(e metav1.LabelSelectorRequirement) bool {
		return e.Operator == metav1.LabelSelectorOpIn && slices.ContainsFunc(e.Values, func(v string) bool { return strings.Contains(v, "dns") })
	})
}

// CheckLabels returns nil for labels that a selector may ask for, and else an error that says what is wrong with the first
// that is not one.
func CheckLabels(set map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if faults := validation.IsQualifiedName(key); len(faults) > 0 {
			return fmt.Errorf("label %q: %s", key, faults[0])
		}
		if faults := validation.IsValidLabelValue(set[key]); len(faults) > 0 {
			return fmt.Errorf("label %s: %q: %s", key, set[key], faults[0])
		}
	}
	return nil
}

// IsElsewhere reports whether none of its pods are in a namespace. One that is not known is taken for another.
func (r Resolver) IsElsewhere(namespace string) bool {
	return r.Namespace == "" || r.Namespace != namespace
}

// IsLoopbackRange reports whether a range is of loopback addresses.
func IsLoopbackRange(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().IsLoopback()
}
