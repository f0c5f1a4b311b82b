package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Port is a port of pods that has a name there, by which rules may call it.
type Port struct {
	Name     string
	Number   uint16
	Protocol flow.Protocol
}

// resolverPorts are those of the cluster's resolver, by the names that CoreDNS has for them in every distribution.
var resolverPorts = []Port{{"dns", resolverPort, flow.UDP}, {"dns-tcp", resolverPort, flow.TCP}}

// portsOf returns the ports that have a name at an endpoint, and whether there can be any: only pods name ports.
func (s Scope) portsOf(e flow.Endpoint) (ports []Port, pods bool) {
	switch e.Kind {
	case flow.Workload:
		w, _ := s.workload(e)
		return w.Ports, true
	case flow.Resolver:
		return resolverPorts, true
	}
	return nil, false
}

// fitPortName holds a flow against a port that goes by a name. Whichever the direction, it is the pods that the flow goes
// to which give it its number, for each protocol one of its own.
func (s Scope) fitPortName(name string, sameProtocol bool, f flow.Flow) portFit {
	nearest := portByName
	if !sameProtocol {
		nearest = otherProtocol
	}
	ports, _ := s.portsOf(f.Destination)
	for _, p := range ports {
		switch {
		case p.Name != name:
		case p.Number != f.Port:
			nearest = otherPort
		case p.Protocol == f.Protocol && sameProtocol:
			return portFits
		default:
			return otherProtocol
		}
	}
	return nearest
}

// explainPortNames says what ports by name are at the pods that a flow goes to, after what it is an explanation of.
func (s Scope) explainPortNames(names []string, f flow.Flow) string {
	var phrases []string
	for _, name := range names {
		phrases = append(phrases, s.explainPortName(name, f))
	}
	if len(phrases) == 0 {
		return ""
	}
	return "; " + abbreviate(phrases, ", ")
}

func (s Scope) explainPortName(name string, f flow.Flow) string {
	ports, pods := s.portsOf(f.Destination)
	for _, p := range ports {
		if p.Name == name {
			return fmt.Sprintf("%s is %d/%s there", name, p.Number, p.Protocol)
		}
	}
	switch {
	case !pods:
		return fmt.Sprintf("%s is a name that only pods give to a port", name)
	case len(ports) == 0:
		return fmt.Sprintf("what port %s is, only the pods know: write the number, or let Manifests say it", name)
	}
	return fmt.Sprintf("%s is no port of %s", name, f.Destination)
}

// namespaceLabels returns the labels of a namespace, as far as they are known.
func (s Scope) namespaceLabels(namespace string) labels.Set {
	return labels.Merge(s.Namespaces[namespace], namespaceLabels(namespace))
}
