package policy

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Port is a port of pods that has a name there, by which rules may call it.
type Port struct {
	Name     string
	Number   uint16
	Protocol flow.Protocol
}

// resolverPorts are those of the cluster's resolver, by the names that CoreDNS has for them in every distribution.
var resolverPorts = []Port{{"dns", ResolverPort, flow.UDP}, {"dns-tcp", ResolverPort, flow.TCP}}

// portsOf returns the ports that have a name at an endpoint, and whether there can be any: only pods name ports.
func (s Scope) portsOf(e flow.Endpoint) (ports []Port, pods bool) {
	switch e.Kind {
	case flow.Workload:
		w, _ := s.WorkloadOf(e)
		return w.Ports, true
	case flow.Resolver:
		return resolverPorts, true
	}
	return nil, false
}

// MatchPortName compares a flow with a port that goes by a name. In both directions the pods that the flow goes to give
// it its number. Pods may have the name for several protocols, and for several numbers where they are of several
// workloads.
func (s Scope) MatchPortName(name string, sameProtocol bool, f flow.Flow) PortMatch {
	nearest, found := PortByName, false
	if !sameProtocol {
		nearest = OtherProtocol
	}
	ports, _ := s.portsOf(f.Destination)
	for _, p := range ports {
		switch {
		case p.Name != name:
		case p.Number == f.Port && p.Protocol == f.Protocol && sameProtocol:
			return PortMatches
		case p.Number == f.Port:
			nearest, found = OtherProtocol, true
		case !found:
			nearest, found = OtherPort, true
		}
	}
	return nearest
}

// ExplainPortNames says what ports by name are at the pods that a flow goes to, after what it is an explanation of.
func (s Scope) ExplainPortNames(names []string, f flow.Flow) string {
	var phrases []string
	for _, name := range names {
		phrases = append(phrases, s.explainPortName(name, f))
	}
	if len(phrases) == 0 {
		return ""
	}
	return "; " + Abbreviate(phrases, ", ")
}

func (s Scope) explainPortName(name string, f flow.Flow) string {
	ports, pods := s.portsOf(f.Destination)
	var numbers []string
	for _, p := range ports {
		if p.Name == name {
			numbers = append(numbers, fmt.Sprintf("%d/%s", p.Number, p.Protocol))
		}
	}
	switch {
	case len(numbers) > 0:
		return fmt.Sprintf("%s is %s there", name, strings.Join(numbers, " and "))
	case !pods:
		return fmt.Sprintf("%s is a name that only pods give to a port", name)
	case len(ports) == 0:
		return fmt.Sprintf("what port %s is, only the pods know: write the number, or let Manifests say it", name)
	}
	return fmt.Sprintf("%s is no port of %s", name, f.Destination)
}

// NamespaceLabels returns the labels of a namespace, as far as they are known.
func (s Scope) NamespaceLabels(namespace string) labels.Set {
	return labels.Merge(s.Namespaces[namespace], NamespaceNameLabels(namespace))
}
