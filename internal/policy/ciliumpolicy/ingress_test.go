package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// shop is the scope of a test process that talks to containers.
var shop = policy.Scope{
	Subjects: []policy.Subject{
		{Workload: policy.Workload{Name: "checkout"}},
		{Workload: policy.Workload{Name: "orders-db"}, AllTraffic: true},
		{Workload: policy.Workload{Name: "worker", Namespace: "jobs", Labels: map[string]string{"tier": "back", "run": "7"}, Selector: map[string]string{"tier": "back"}}, AllTraffic: true},
	},
	Peers: []policy.Workload{{Name: "gateway", Namespace: "edge", Labels: map[string]string{"app.kubernetes.io/name": "envoy"}}},
}

func between(source, destination flow.Endpoint, port uint16) flow.Flow {
	return flow.Flow{Source: source, Destination: destination, Protocol: flow.TCP, Port: port, Count: 1}
}

func query(port uint16) flow.Flow { return between(workload("checkout"), workload("orders-db"), port) }
