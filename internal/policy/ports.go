package policy

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
	"k8s.io/apimachinery/pkg/labels"
)

// Port is a named port of pods. Rules may refer to it by the name.
type Port struct {
	Name     string
	Number   uint16
	Protocol flow.Protocol
}

// resolverPorts holds the ports of the cluster's resolver, by the names that CoreDNS gives them in every
// distribution.
var resolverPorts = []Port{{"dns", ResolverPort, flow.UDP}, {"dns-tcp", ResolverPort, flow.TCP}}

// portsOf returns the named ports of an endpoint, and whether it is pods: only pods name ports.
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

// MatchPortName compares a flow with a port name. In both directions the destination pods give the name its number.
// Pods may use a name for several protocols, and pods of several workloads for several numbers.
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

// ExplainPortNames returns, as a suffix for an explanation, the numbers of the port names at the destination pods.
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
		return fmt.Sprintf("only the pods define port name %s: write the number, or use Manifests", name)
	}
	return fmt.Sprintf("%s is no port of %s", name, f.Destination)
}

// NamespaceLabels returns the known labels of a namespace.
func (s Scope) NamespaceLabels(namespace string) labels.Set {
	return labels.Merge(s.Namespaces[namespace], NamespaceNameLabels(namespace))
}

// The types of an echo request.
const (
	echo   = 8
	echoV6 = 128
)

// ICMPTypeOf returns the ICMP type of a flow. An unknown one counts as an echo request.
func ICMPTypeOf(f flow.Flow) int {
	switch {
	case f.ICMPType != 0:
		return int(f.ICMPType)
	case f.Protocol == flow.ICMPv6:
		return echoV6
	}
	return echo
}
