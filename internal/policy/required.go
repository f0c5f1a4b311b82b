package policy

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/internal/flow"
)

// resolverPort is that of the cluster's resolver, where resolverLabels are those of its pods.
const resolverPort = 53

var resolverLabels = labels.Set{"k8s-app": flow.ClusterResolver.Name}

// Required returns the flows, in their order, and behind them those that they imply: a source that talks to a
// workload, a name or the resolver also looks names up, over UDP and, where an answer does not fit, over TCP, at port
// 53 of an endpoint of the kind Resolver. Tests that dial localhost do not do so, their pods in the cluster do.
// An implied flow has a count of 0. Flows that no policy can express imply nothing.
func Required(flows []flow.Flow) []flow.Flow {
	type lookup struct {
		source   flow.Endpoint
		protocol flow.Protocol
	}
	sources, seen := make(map[flow.Endpoint]bool), make(map[lookup]bool)
	for _, f := range flows {
		if inexpressible(f) != "" || f.Destination.Kind == flow.Address {
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

// inexpressible says why a NetworkPolicy cannot allow a flow and no other, or returns "" if it can.
func inexpressible(f flow.Flow) string {
	to := f.Destination
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	case to.Kind == flow.Workload && (to.Name == "" || len(validation.IsValidLabelValue(to.Name)) > 0):
		return fmt.Sprintf("the workload name %q cannot be a label", to.Name)
	case to.Kind == flow.Workload && len(validation.IsValidLabelValue(to.Namespace)) > 0:
		return fmt.Sprintf("%q cannot be a namespace", to.Namespace)
	case to.Kind == flow.External && !isHost(to.Name):
		return fmt.Sprintf("%q is no host name", to.Name)
	case to.Kind == flow.Address && !to.Addr.IsValid():
		return "the address is not known"
	case to.Kind < flow.Workload || to.Kind > flow.Address:
		return "the destination is of no known kind"
	}
	return ""
}
