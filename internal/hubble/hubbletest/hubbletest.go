// Package hubbletest has a recording with a flow of each kind that Hubble can describe, for tests.
package hubbletest

import (
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Flows returns the placed flows of [Recording], sorted.
func Flows() []flow.Flow {
	addr := netip.MustParseAddr
	cart := flow.Endpoint{Kind: flow.Workload, Name: "cart", Namespace: "shop"}
	db := flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "shop", Addr: addr("10.0.0.7")}
	api := flow.ClusterAPIServer
	api.Addr = addr("172.18.0.2")
	agent := flow.Endpoint{Kind: flow.Workload, Name: "agent", Namespace: "ops", HostNetwork: true}
	statsd := flow.Endpoint{Kind: flow.Workload, Name: "statsd", Addr: addr("172.18.0.3"), Node: true}
	external := func(name, address string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.External, Name: name, Addr: addr(address), Evidence: flow.ByTLS}
	}
	address := func(text string) flow.Endpoint { return flow.Endpoint{Kind: flow.Address, Addr: addr(text)} }
	flows := []flow.Flow{
		{Source: cart, Destination: db, Protocol: flow.TCP, Port: 5432, Count: 3, Binaries: []string{"cart"}},
		{Source: cart, Destination: db, Protocol: flow.TCP, Port: 9187, Count: 1, Before: true},
		{
			Source: cart, Destination: db, Protocol: flow.TCP, Port: 8080, Count: 1, Requests: []flow.Request{
				{Protocol: flow.HTTP, Method: "OPTIONS", Path: "*"},
				{Protocol: flow.HTTP, Method: "GET", Host: "db:8080", Path: "/a%2Fb/17"},
				{Protocol: flow.HTTP, Method: "POST", Host: "db:8080", Path: "/charge", Query: "?token=secret"},
				{Protocol: flow.GRPC, Method: "POST", Host: "db:8080", Path: "/shop.Ledger/Enter"},
				{Protocol: flow.Kafka, Method: "produce", Topic: "alpha-telemetry"},
			},
		},
		{Source: cart, Destination: flow.WorkloadEndpoint("plain"), Protocol: flow.SCTP, Port: 3868, Count: 1},
		{Source: cart, Destination: agent, Protocol: flow.UDP, Port: 8125, Count: 7},
		{Source: cart, Destination: statsd, Protocol: flow.UDP, Port: 8125, Count: 1},
		{Source: db, Destination: db.Identity(), Protocol: flow.TCP, Port: 7000, Count: 1},
		{Source: cart, Destination: flow.ClusterResolver, Protocol: flow.UDP, Port: 53, Count: 2},
		{Source: cart, Destination: api, Protocol: flow.TCP, Port: 6443, Count: 1},
		{Source: cart, Destination: external("api.example.com", "203.0.113.7"), Protocol: flow.TCP, Port: 443, Count: 1},
		{Source: cart, Destination: external("v6.example.com", "2001:db8::7"), Protocol: flow.TCP, Port: 443, Count: 1},
		{Source: cart, Destination: flow.ExternalHost("gone.example.com"), Lookup: true, Count: 1},
		{Source: cart, Destination: address("203.0.113.9"), Protocol: flow.ICMP, ICMPType: 8, Count: 1},
		{Source: cart, Destination: address("203.0.113.9"), Protocol: flow.ICMP, Count: 1},
		{Source: cart, Destination: address("2001:db8::9"), Protocol: flow.ICMPv6, ICMPType: 128, Count: 1},
		{Source: address("198.51.100.4"), Destination: cart, Protocol: flow.TCP, Port: 8080, Count: 2},
		{Source: flow.Endpoint{Kind: flow.Anyone}, Destination: cart, Protocol: flow.TCP, Port: 8081, Count: 1},
		{Source: agent, Destination: cart, Protocol: flow.TCP, Port: 9090, Count: 1},
	}
	slices.SortFunc(flows, flow.Flow.Compare)
	return flows
}

// Recording returns a recording with placed flows only.
func Recording() recording.File {
	labels := func(app string) map[string]string { return map[string]string{"app": app, "tier": "shop"} }
	return recording.File{
		Version: recording.Version, Test: "TestCheckout",
		Placed: recording.Placed{
			Workloads: []recording.Workload{
				{Name: "cart", Namespace: "shop", Labels: labels("cart"), PodLabels: labels("cart"), AllTraffic: true},
				{Name: "db", Namespace: "shop", Labels: labels("db"), PodLabels: labels("db")},
			},
			Peers: []recording.Workload{{Name: "agent", Namespace: "ops", PodLabels: labels("agent"), HostNetwork: true}},
			Flows: recording.FromFlows(Flows()),
		},
	}
}
