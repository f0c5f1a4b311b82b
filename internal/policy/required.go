package policy

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/flow"
)

// resolverPort is that of the cluster's resolver, where resolverLabels are those of its pods.
const resolverPort = 53

var resolverLabels = labels.Set{"k8s-app": flow.ClusterResolver.Name}

// Required returns the flows, in their order, and behind them those that they imply: a source that talks to a
// workload, a name or the resolver also looks names up, over UDP and, where an answer does not fit, over TCP, at port
// 53 of an endpoint of the kind Resolver. A source that is no workload implies nothing. Tests that dial localhost do not do so, their pods in the cluster do.
// An implied flow has a count of 0. Flows that no policy can express imply nothing.
func Required(flows []flow.Flow) []flow.Flow {
	type lookup struct {
		source   flow.Endpoint
		protocol flow.Protocol
	}
	sources, seen := make(map[flow.Endpoint]bool), make(map[lookup]bool)
	for _, f := range flows {
		isPods := f.Source.Kind == flow.Workload // of others, nobody here knows what they ask
		if !isPods || (Scope{}).inexpressible(egress, f) != "" || f.Destination.Kind == flow.Address {
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
