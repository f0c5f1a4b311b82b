package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The ports of API servers: of the Service kubernetes, which managed clusters use for the server too, of kubeadm,
// k3s, kind and OpenShift, and of minikube.
const (
	apiServicePort  = 443
	apiServerPort   = 6443
	minikubeAPIPort = 8443
)

// isAPIServer reports whether an endpoint is the cluster's API server: it runs on nodes or outside of the cluster,
// where no selector of pods finds it. With an address it is one of the Endpoints of its Service, at the port that
// they have; without one nobody knows where it is.
func isAPIServer(e flow.Endpoint) bool { return e.Kind == flow.APIServer }

// usesHostNetwork reports whether an endpoint is pods that use the network of their nodes.
func usesHostNetwork(e flow.Endpoint) bool {
	return e.Kind == flow.Workload && e.HostNetwork && !e.Node
}

// isBeyondSelectors reports whether the far end of flows in a direction is in the cluster, or next to it, and no
// selector of pods finds it. Who the API server calls is not recorded.
func isBeyondSelectors(d direction, e flow.Endpoint) bool {
	return d == egress && isAPIServer(e) || usesHostNetwork(e)
}

// needsEveryRule reports whether any rule may be for a flow in a direction, so that no index finds those that are.
func needsEveryRule(d direction, f flow.Flow) bool {
	return f.Destination.Kind == flow.Resolver || isBeyondSelectors(d, d.far(f))
}

// writtenPorts returns the ports that a rule for a flow has. Network plugins see the port of the API server itself
// and not that of its Service, and which one that is, only Endpoints say.
func writtenPorts(f flow.Flow) []uint16 {
	if isAPIServer(f.Destination) && !f.Destination.Addr.IsValid() && f.Protocol == flow.TCP &&
		f.Port == apiServicePort {
		return []uint16{apiServicePort, apiServerPort}
	}
	return []uint16{f.Port}
}

// acceptedPorts returns the ports of which a rule for a flow may have any: the one that it goes to, and for the API
// server that of its Service and, where its own is not known, those that distributions use.
func acceptedPorts(f flow.Flow) []uint16 {
	ports := []uint16{f.Port}
	usual := []uint16{apiServicePort, apiServerPort, minikubeAPIPort}
	switch {
	case !isAPIServer(f.Destination) || f.Protocol != flow.TCP:
		return ports
	case f.Destination.Addr.IsValid():
		ports = append(ports, apiServicePort)
	case slices.Contains(usual, f.Port):
		ports = usual
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// fitAnyPort returns the best that fitPort says of a flow at each of the ports that a rule for it may have.
func fitAnyPort(f flow.Flow, fitPort func(flow.Flow) portFit) portFit {
	if !isAPIServer(f.Destination) {
		return fitPort(f)
	}
	best := otherPort
	for _, port := range acceptedPorts(f) {
		f.Port = port
		best = max(best, fitPort(f))
	}
	return best
}
