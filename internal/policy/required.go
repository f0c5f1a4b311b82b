package policy

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ResolverPort is the port of the cluster's resolver.
const ResolverPort = 53

// ResolverLabels are the labels of the resolver's pods in all common distributions.
var ResolverLabels = labels.Set{"k8s-app": flow.ClusterResolver.Name}

// RequiredBy is [Dialect].Required for a dialect with the function inexpressible.
func RequiredBy(flows []flow.Flow, inexpressible func(Direction, flow.Flow) string) []flow.Flow {
	type lookup struct {
		source   flow.Endpoint
		protocol flow.Protocol
	}
	sources, seen := make(map[flow.Endpoint]bool), make(map[lookup]bool)
	for _, f := range flows {
		isPods := f.Source.Kind == flow.Workload // the DNS queries of any other source are unknown
		evaluated := byUnwritableName(f)
		if !isPods || !f.Lookup && inexpressible(Egress, evaluated) != "" || !isLookedUp(evaluated.Destination) {
			continue
		}
		source := f.Source.Identity()
		sources[source] = true
		if f.Destination.Kind == flow.Resolver && f.Port == ResolverPort {
			seen[lookup{source, f.Protocol}] = true
		}
	}
	required := append(slices.Grow([]flow.Flow(nil), len(flows)+2*len(sources)), flows...)
	for _, source := range slices.SortedFunc(maps.Keys(sources), flow.Endpoint.Compare) {
		for _, protocol := range []flow.Protocol{flow.UDP, flow.TCP} {
			if seen[lookup{source, protocol}] {
				continue
			}
			required = append(required, flow.Flow{
				Source:      source,
				Destination: flow.ClusterResolver,
				Protocol:    protocol,
				Port:        ResolverPort,
			})
		}
	}
	return required
}

// isLookedUp reports whether a client queries DNS before it connects to a destination. An address with a name is the
// address behind that name, such as that of a Service without a selector.
func isLookedUp(e flow.Endpoint) bool { return e.Kind != flow.Address || e.Name != "" }

// byUnwritableName returns a flow to a host by its address if no policy can hold the host's name. The rule is then
// for the address.
func byUnwritableName(f flow.Flow) flow.Flow {
	if e := f.Destination; e.Kind == flow.External && e.Addr.IsValid() && !IsHost(e.Name) && !f.Lookup {
		f.Destination = flow.Endpoint{Kind: flow.Address, Name: e.Name, Addr: e.Addr}
	}
	return f
}

// LookupHasNoPort is the reason why no rule allows a DNS query that got no address.
const LookupHasNoPort = "a lookup has no port for a rule to open"

// Unnameable returns why no rule of a direction can match one peer and no other, or "" if one can.
func (s Scope) Unnameable(d Direction, peerEnd flow.Endpoint) string {
	switch {
	case peerEnd.Kind == flow.Workload:
		return s.unselectable(peerEnd)
	case d == Egress && peerEnd.Kind == flow.External && !IsHost(peerEnd.Name):
		return fmt.Sprintf("%q is no host name", peerEnd.Name)
	case peerEnd.Kind == flow.Address && !peerEnd.Addr.IsValid():
		return "the address is not known"
	case d == Ingress && peerEnd.Kind == flow.External && !peerEnd.Addr.IsValid():
		return fmt.Sprintf("the address of %s is not known", peerEnd)
	case d == Egress && (peerEnd.Kind < flow.Workload || peerEnd.Kind > flow.Address):
		return "the destination is of no known kind"
	case d == Ingress && (peerEnd.Kind < flow.External || peerEnd.Kind > flow.Anyone):
		return "the source is of no known kind"
	}
	return ""
}

// unselectable returns why no selector can match a workload, or "" if one can.
func (s Scope) unselectable(e flow.Endpoint) string {
	w, _ := s.WorkloadOf(e)
	if e.Name == "" {
		return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
	}
	if !isLabelValue(w.Namespace) {
		return fmt.Sprintf("%q cannot be a namespace", w.Namespace)
	}
	for key, value := range w.SelectorLabels() {
		if isLabelValue(value) && isLabelKey(key) {
			continue
		}
		if value == e.Name {
			return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
		}
		return fmt.Sprintf("the labels of %s cannot be ones", e)
	}
	return ""
}
