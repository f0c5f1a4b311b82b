package policytest

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Checkout is the usual workload under test, without a namespace and without labels of its own.
var Checkout = policy.Workload{Name: "checkout"}

// Shop is the scope of the test process checkout and two containers: orders-db, which has no namespace, and worker, in
// the namespace jobs. The workload gateway, in the namespace edge, is known from elsewhere.
var Shop = policy.Scope{
	Subjects: []policy.Subject{
		{Workload: Checkout},
		{Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true},
		{
			Workload: policy.Workload{
				Name: "worker", Namespace: "jobs",
				Labels:   map[string]string{"tier": "back", "run": "7"},
				Selector: map[string]string{"tier": "back"},
			},
			AllTraffic: true,
		},
	},
	Peers: []policy.Workload{{
		Name: "gateway", Namespace: "edge",
		Labels: map[string]string{"app.kubernetes.io/name": "envoy"},
	}},
}

// Alone returns the scope of a test process without other workloads.
func Alone(w policy.Workload) policy.Scope {
	return policy.Scope{Subjects: []policy.Subject{{Workload: w}}}
}

// Workload returns a workload without a namespace.
func Workload(name string) flow.Endpoint { return WorkloadIn("", name) }

// WorkloadIn returns a workload of a namespace.
func WorkloadIn(namespace, name string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
}

// Node returns a process on the machine on which a container runs.
func Node(name string) flow.Endpoint {
	return flow.Endpoint{
		Kind: flow.Workload, Name: name, Node: true,
		Addr: netip.MustParseAddr("172.17.0.1"), Evidence: flow.ByListener,
	}
}

// Resolver returns a DNS resolver at 127.0.0.53.
func Resolver() flow.Endpoint {
	return flow.Endpoint{Kind: flow.Resolver, Addr: netip.MustParseAddr("127.0.0.53")}
}

// External returns a host outside the cluster at an address.
func External(name, addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(addr)}
}

// Host returns a host outside the cluster with an unknown address.
func Host(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.External, Name: name} }

// At returns an address without a name.
func At(addr string) flow.Endpoint {
	return flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr(addr)}
}

// Between returns a TCP flow.
func Between(source, destination flow.Endpoint, port uint16) flow.Flow {
	return flow.Flow{Source: source, Destination: destination, Protocol: flow.TCP, Port: port, Count: 1}
}

// Query returns a flow from checkout to orders-db.
func Query(port uint16) flow.Flow { return Between(Workload("checkout"), Workload("orders-db"), port) }

// ToPort returns a flow from checkout.
func ToPort(to flow.Endpoint, protocol flow.Protocol, port uint16) flow.Flow {
	return flow.Flow{Source: Workload("checkout"), Destination: to, Protocol: protocol, Port: port, Count: 1}
}

// TCP returns a TCP flow from checkout.
func TCP(to flow.Endpoint, port uint16) flow.Flow { return ToPort(to, flow.TCP, port) }

// UDP returns a UDP flow from checkout.
func UDP(to flow.Endpoint, port uint16) flow.Flow { return ToPort(to, flow.UDP, port) }

// Ping returns an ICMP flow from checkout.
func Ping(to flow.Endpoint) flow.Flow { return ToPort(to, flow.ICMP, 0) }

// Lookup returns a lookup by checkout that got no address.
func Lookup(to flow.Endpoint) flow.Flow {
	return flow.Flow{Source: Workload("checkout"), Destination: to, Lookup: true, Count: 1}
}

// ToHosts returns flows from checkout to port 443 of hosts that share one address.
func ToHosts(hosts ...string) []flow.Flow {
	var flows []flow.Flow
	for _, host := range hosts {
		flows = append(flows, TCP(External(host, "198.51.100.1"), 443))
	}
	return flows
}

// From returns copies of flows with a workload as their source.
func From(w policy.Workload, flows ...flow.Flow) []flow.Flow {
	own := slices.Clone(flows)
	for i := range own {
		own[i].Source = WorkloadIn(w.Namespace, w.Name)
	}
	return own
}

// Reversed returns a flow with its ends exchanged.
func Reversed(f flow.Flow) flow.Flow {
	f.Source, f.Destination = f.Destination, f.Source
	return f
}

// Arrow describes a flow for a failure.
func Arrow(f flow.Flow) string { return f.Source.String() + " -> " + f.Target() }
