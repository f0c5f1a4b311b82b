package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The ports of API servers: 443 for the Service kubernetes, and for the server itself in managed clusters; 6443 for
// kubeadm, k3s, kind and OpenShift; and the port of minikube.
const (
	APIServicePort  = 443
	APIServerPort   = 6443
	minikubeAPIPort = 8443
)

// IsAPIServer reports whether an endpoint is the cluster's API server. It runs on nodes or outside of the cluster, so
// no pod selector matches it. With an address the endpoint is one of the Endpoints of its Service, at the port of
// those; without one its location is unknown.
func IsAPIServer(e flow.Endpoint) bool { return e.Kind == flow.APIServer }

// UsesHostNetwork reports whether an endpoint is a set of pods that use the network of their nodes.
func UsesHostNetwork(e flow.Endpoint) bool {
	return e.Kind == flow.Workload && e.HostNetwork && !e.Node
}

// WrittenPorts returns the ports in a rule for a flow. Network plugins see the port of the API server itself, not
// that of its Service, and only Endpoints name that port.
func WrittenPorts(f flow.Flow) []uint16 {
	if IsAPIServer(f.Destination) && !f.Destination.Addr.IsValid() && f.Protocol == flow.TCP &&
		f.Port == APIServicePort {
		return []uint16{APIServicePort, APIServerPort}
	}
	return []uint16{f.Port}
}

// AcceptedPorts returns the ports that a rule for a flow may have: the flow's own port, and for the API server also
// the port of its Service and, where its own port is unknown, those that distributions use.
func AcceptedPorts(f flow.Flow) []uint16 {
	ports := []uint16{f.Port}
	usual := []uint16{APIServicePort, APIServerPort, minikubeAPIPort}
	switch {
	case !IsAPIServer(f.Destination) || f.Protocol != flow.TCP:
		return ports
	case f.Destination.Addr.IsValid():
		ports = append(ports, APIServicePort)
	case slices.Contains(usual, f.Port):
		ports = usual
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// MatchAnyPort returns the best match that fitPort returns for a flow at any of the ports that a rule for it may
// have.
func MatchAnyPort(f flow.Flow, fitPort func(flow.Flow) PortMatch) PortMatch {
	if !IsAPIServer(f.Destination) {
		return fitPort(f)
	}
	best := OtherPort
	for _, port := range AcceptedPorts(f) {
		f.Port = port
		best = max(best, fitPort(f))
	}
	return best
}
