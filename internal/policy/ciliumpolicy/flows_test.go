package ciliumpolicy

import (
	"net/netip"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Constructors of flows and policies for the tests of this package.

var checkout = policy.Workload{Name: "checkout"}

func workload(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.Workload, Name: name} }

func workloadIn(namespace, name string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
}

// node returns a process of the node.
func node(name string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Workload, Name: name, Addr: netip.MustParseAddr("172.17.0.1"), Evidence: flow.ByListener, Node: true}
}

func resolver() flow.Endpoint {
	return flow.Endpoint{Kind: flow.Resolver, Addr: netip.MustParseAddr("127.0.0.53")}
}

func external(name, addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(addr)}
}

func at(addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)}
}

func tcp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.TCP, port) }

func udp(to flow.Endpoint, port uint16) flow.Flow { return toPort(to, flow.UDP, port) }

func toPort(to flow.Endpoint, protocol flow.Protocol, port uint16) flow.Flow {
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "checkout"},
		Destination: to, Protocol: protocol, Port: port, Count: 1,
	}
}

func toYAML(t *testing.T, p any) string {
	t.Helper()
	text, err := yaml.Marshal(p)
	if err != nil {
		t.Fatalf("write policy: %v", err)
	}
	return string(text)
}

// alone returns the scope of a test process without other workloads.
func alone(w policy.Workload) policy.Scope {
	return policy.Scope{Subjects: []policy.Subject{{Workload: w}}}
}

// from returns flows with a workload as their source.
func from(w policy.Workload, flows ...flow.Flow) []flow.Flow {
	own := slices.Clone(flows)
	for i := range own {
		own[i].Source = workloadIn(w.Namespace, w.Name)
	}
	return own
}
