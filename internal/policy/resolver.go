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

// Resolver is a place where the DNS of a cluster listens: pods, or addresses outside of pods.
type Resolver struct {
	Namespace string            // of the pods
	Labels    map[string]string // of the pods
	Addresses netip.Prefix      // instead of pods, such as 169.254.20.10/32 of NodeLocal DNSCache
	Ports     []uint16          // of the pods or at the addresses; none means 53
}

// DefaultResolver is the resolver of every common distribution.
var DefaultResolver = Resolver{Namespace: flow.ClusterResolver.Namespace, Labels: ResolverLabels}

// key distinguishes the places of one scope.
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

// String returns the resolver as reasons name it.
func (r Resolver) String() string {
	if r.Addresses.IsValid() {
		return "addresses " + r.Addresses.String()
	}
	return "pods " + labels.Set(r.Labels).String() + " in namespace " + r.Namespace
}

// ResolverOf returns the place that an endpoint of kind Resolver stands for.
func (s Scope) ResolverOf(e flow.Endpoint) Resolver {
	for _, r := range s.Resolvers {
		if r.key() == e.Name && r.Namespace == e.Namespace {
			return r
		}
	}
	return DefaultResolver
}

// atResolvers returns a flow to the cluster's resolver as one flow for each port of each configured place. It returns
// any other flow unchanged.
func (s Scope) atResolvers(f flow.Flow) []flow.Flow {
	isPlaced := func(r Resolver) bool { return r.key() == f.Destination.Name && r.Namespace == f.Destination.Namespace }
	if len(s.Resolvers) == 0 || f.Destination.Kind != flow.Resolver || f.Port != ResolverPort ||
		slices.ContainsFunc(s.Resolvers, isPlaced) {
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

// FlowsAtResolvers returns the flows, with each flow to the resolver repeated for each of its places.
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

// EvaluateAtResolvers evaluates a flow at each place of the resolver.
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

// IsResolverPort reports whether clients reach the resolver at a port.
func (s Scope) IsResolverPort(port uint16) bool {
	if len(s.Resolvers) == 0 {
		return isDNSPort(int32(port))
	}
	return port == ResolverPort || slices.ContainsFunc(s.Resolvers, func(r Resolver) bool {
		return slices.Contains(r.PortsOrDefault(), port)
	})
}

// DNSPorts classifies the ports of a rule by their relation to DNS.
type DNSPorts uint8

const (
	NoDNS       DNSPorts = iota
	IncludesDNS          // every port, a range, or a name that pods use for their DNS port
	NamesDNS             // the number of a DNS port
)

// ClassifyPorts classifies the ports from first to last. queried is the port at which the client queries the resolver.
func (s Scope) ClassifyPorts(first, last int32, queried uint16) DNSPorts {
	isDNS := func(port int32) bool {
		if len(s.Resolvers) > 0 {
			return port == int32(queried)
		}
		return isDNSPort(port)
	}
	if first == last {
		if isDNS(first) {
			return NamesDNS
		}
		return NoDNS
	}
	for _, port := range []int32{ResolverPort, openShiftPort, int32(queried)} {
		if first <= port && port <= last && isDNS(port) {
			return IncludesDNS
		}
	}
	return NoDNS
}

// IsDNSName reports whether resolvers use a port name, such as "dns-tcp" or "domain".
func IsDNSName(port string) bool { return strings.HasPrefix(port, "dns") || port == "domain" }

// nodeLocalAddresses holds the addresses of NodeLocal DNSCache: the default, and that of Kubespray.
var nodeLocalAddresses = []netip.Addr{netip.MustParseAddr("169.254.20.10"), netip.MustParseAddr("169.254.25.10")}

// ContainsNodeLocal reports whether a range of addresses allows queries to NodeLocal DNSCache.
func ContainsNodeLocal(cidr string, except []string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && slices.ContainsFunc(nodeLocalAddresses, func(a netip.Addr) bool {
		return prefix.Contains(a) && ExceptionFor(except, a) == ""
	})
}

// MentionsDNS reports whether a selector requires a label with DNS in it, as resolvers and their namespaces have:
// "k8s-app: node-local-dns", "app.kubernetes.io/name: coredns", "kubernetes.io/metadata.name: openshift-dns".
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
		return e.Operator == metav1.LabelSelectorOpIn && slices.ContainsFunc(e.Values, func(v string) bool {
			return strings.Contains(v, "dns")
		})
	})
}

// CheckLabels returns nil for labels that a selector may require. Otherwise it returns an error for the first invalid
// one.
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

// IsElsewhere reports whether no pods of the resolver are in a namespace. An unknown namespace counts as another one.
func (r Resolver) IsElsewhere(namespace string) bool {
	return r.Namespace == "" || r.Namespace != namespace
}

// IsLoopbackRange reports whether a range holds loopback addresses.
func IsLoopbackRange(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().IsLoopback()
}
