package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The ports of API servers: of the Service kubernetes, which managed clusters use for the server too, of kubeadm,
// k3s, kind and OpenShift, and of minikube.
const (
	APIServicePort  = 443
	APIServerPort   = 6443
	minikubeAPIPort = 8443
)

// IsAPIServer reports whether an endpoint is the cluster's API server: it runs on nodes or outside of the cluster,
// where no selector of pods finds it. With an address it is one of the Endpoints of its Service, at the port that
// they have; without one nobody knows where it is.
func IsAPIServer(e flow.Endpoint) bool { return e.Kind == flow.APIServer }

// UsesHostNetwork reports whether an endpoint is pods that use the network of their nodes.
func UsesHostNetwork(e flow.Endpoint) bool {
	return e.Kind == flow.Workload && e.HostNetwork && !e.Node
}

// WrittenPorts returns the ports that a rule for a flow has. Network plugins see the port of the API server itself
// and not that of its Service, and which one that is, only Endpoints say.
func WrittenPorts(f flow.Flow) []uint16 {
	if IsAPIServer(f.Destination) && !f.Destination.Addr.IsValid() && f.Protocol == flow.TCP &&
		f.Port == APIServicePort {
		return []uint16{APIServicePort, APIServerPort}
	}
	return []uint16{f.Port}
}

// AcceptedPorts returns the ports of which a rule for a flow may have any: the one that it goes to, and for the API
// server that of its Service and, where its own is not known, those that distributions use.
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

// MatchAnyPort returns the best that fitPort says of a flow at each of the ports that a rule for it may have.
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
