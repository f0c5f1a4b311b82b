package flow_test

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A test can assert on the recorded flows: the service used its database, and called no host outside the cluster except
// the quotes API.
func Example() {
	flows := recorded() // in a test: rec.Flows()

	db := slices.ContainsFunc(flows, func(f flow.Flow) bool {
		return f.Destination.Identity() == flow.WorkloadEndpoint("orders-db") && f.Protocol == flow.TCP && f.Port == 5432
	})
	fmt.Println("uses the database:", db)

	for _, f := range flows {
		if f.Destination.Kind == flow.External && f.Destination.Identity() != flow.ExternalHost("api.quotes.test") {
			fmt.Println("unexpected:", f.Target(), "opened by", f.Process.Name, f.Binaries)
		}
	}
	// Output:
	// uses the database: true
	// unexpected: api.discounts.test:443/TCP opened by curl [curl]
}

func recorded() []flow.Flow {
	checkout := flow.WorkloadEndpoint("checkout")
	end := func(e flow.Endpoint, addr string, evidence flow.Evidence) flow.Endpoint {
		e.Addr, e.Evidence = netip.MustParseAddr(addr), evidence
		return e
	}
	return []flow.Flow{
		{
			Source: checkout, Destination: end(flow.WorkloadEndpoint("orders-db"), "172.17.0.2", flow.ByContainer),
			Protocol: flow.TCP, Port: 5432, Count: 2, Process: flow.Process{PID: 4711, Name: "checkout.test"},
		},
		{
			Source: checkout, Destination: end(flow.ExternalHost("api.discounts.test"), "203.0.113.8", flow.ByDNS),
			Protocol: flow.TCP, Port: 443, Count: 1, Process: flow.Process{PID: 4712, Name: "curl"}, Binaries: []string{"curl"},
		},
		{
			Source: checkout, Destination: end(flow.ExternalHost("api.quotes.test"), "203.0.113.7", flow.ByDNS),
			Protocol: flow.TCP, Port: 443, Count: 1, Process: flow.Process{PID: 4711, Name: "checkout.test"},
		},
	}
}
