package policy

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// resolverPort is that of the cluster's resolver, where resolverLabels are those of its pods.
const resolverPort = 53

var resolverLabels = labels.Set{"k8s-app": flow.ClusterResolver.Name}

// Required returns the flows, in their order, and behind them those that they imply: a source that talks to a
// workload, a name, an address that a name stands for, or the resolver also looks names up, over UDP and, where an answer does not fit, over TCP, at port
// 53 of an endpoint of the kind Resolver. A source that is no workload implies nothing. Tests that dial localhost do not do so, their pods in the cluster do.
// An implied flow has a count of 0. Flows that no NetworkPolicy can express imply nothing, but look-ups without an answer do.
func Required(flows []flow.Flow) []flow.Flow { return required(flows, Scope{}.inexpressible) }

// Required returns the flows and those that they imply; see the function of that name.
func (s Scope) Required(flows []flow.Flow) []flow.Flow { return Required(flows) }

// required is Required for a dialect that says what it cannot express.
func required(flows []flow.Flow, inexpressible func(direction, flow.Flow) string) []flow.Flow {
	type lookup struct {
		source   flow.Endpoint
		protocol flow.Protocol
	}
	sources, seen := make(map[flow.Endpoint]bool), make(map[lookup]bool)
	for _, f := range flows {
		isPods := f.Source.Kind == flow.Workload // of others, nobody here knows what they ask
		judged := byUnwritableName(f)
		if !isPods || !f.Lookup && inexpressible(egress, judged) != "" || !isLookedUp(judged.Destination) {
			continue
		}
		source := f.Source.Identity()
		sources[source] = true
		if f.Destination.Kind == flow.Resolver && f.Port == resolverPort {
			seen[lookup{source, f.Protocol}] = true
		}
	}
	required := slices.Clone(flows)
	for _, source := range slices.SortedFunc(maps.Keys(sources), flow.Endpoint.Compare) {
		for _, protocol := range []flow.Protocol{flow.UDP, flow.TCP} {
			if seen[lookup{source, protocol}] {
				continue
			}
			required = append(required, flow.Flow{
				Source:      source,
				Destination: flow.ClusterResolver,
				Protocol:    protocol,
				Port:        resolverPort,
			})
		}
	}
	return required
}

// isLookedUp reports whether whoever talks to a destination asks DNS for it first. An address with a name is what the name
// stands for, such as a Service without a selector.
func isLookedUp(e flow.Endpoint) bool { return e.Kind != flow.Address || e.Name != "" }

// byUnwritableName returns a flow to a host whose name no policy can hold by its address, which is then what a rule is for.
func byUnwritableName(f flow.Flow) flow.Flow {
	if e := f.Destination; e.Kind == flow.External && e.Addr.IsValid() && !isHost(e.Name) && !f.Lookup {
		f.Destination = flow.Endpoint{Kind: flow.Address, Name: e.Name, Addr: e.Addr}
	}
	return f
}

// inexpressible says why no rule of a direction can allow a flow and no other, or returns "" if one can.
func (s Scope) inexpressible(d direction, f flow.Flow) string {
	if f.Lookup {
		return isNoPort
	}
	if why := s.wordless(f); why != "" {
		return why
	}
	return s.unnameable(d, d.far(f))
}

const isNoPort = "a look-up has no port for a rule to open"

// wordless says why no rule of the dialect is for a flow, whatever its ends are, or returns "" if one may be.
func (s Scope) wordless(f flow.Flow) string {
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	}
	return ""
}

func (s Scope) otherWords() otherWords { return otherWords{s, s.wordless, s.unnameable} }

// unnameable says why no rule of a direction can be for one peer and no other, or returns "" if one can.
func (s Scope) unnameable(d direction, far flow.Endpoint) string {
	switch {
	case far.Kind == flow.Workload:
		return s.unselectable(far)
	case d == egress && far.Kind == flow.External && !isHost(far.Name):
		return fmt.Sprintf("%q is no host name", far.Name)
	case far.Kind == flow.Address && !far.Addr.IsValid():
		return "the address is not known"
	case d == ingress && far.Kind == flow.External && !far.Addr.IsValid():
		return fmt.Sprintf("the address of %s is not known", far)
	case d == egress && (far.Kind < flow.Workload || far.Kind > flow.Address):
		return "the destination is of no known kind"
	case d == ingress && (far.Kind < flow.External || far.Kind > flow.Anyone):
		return "the source is of no known kind"
	}
	return ""
}

// unselectable says why no selector can be for a workload, or returns "" if one can.
func (s Scope) unselectable(e flow.Endpoint) string {
	w, _ := s.workload(e)
	if e.Name == "" {
		return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
	}
	if len(validation.IsValidLabelValue(w.Namespace)) > 0 {
		return fmt.Sprintf("%q cannot be a namespace", w.Namespace)
	}
	for key, value := range w.selecting() {
		if len(validation.IsValidLabelValue(value)) == 0 && len(validation.IsQualifiedName(key)) == 0 {
			continue
		}
		if value == e.Name {
			return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
		}
		return fmt.Sprintf("the labels of %s cannot be ones", e)
	}
	return ""
}
