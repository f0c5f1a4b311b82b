package networkpolicy

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPortNames_IngressUsesServerPorts(t *testing.T) {
	scope := policy.Scope{
		Subjects: []policy.Subject{
			{
				Workload: policy.Workload{
					Name:  "orders-db",
					Ports: []policy.Port{{Name: "pg", Number: 5432, Protocol: flow.TCP}},
				},
				AllTraffic: true,
			},
		},
	}
	policies := parse(t, "metadata: {name: orders-db}\nspec: {podSelector: {}, ingress: [{ports: [{port: pg}]}]}")
	for port, want := range map[uint16]policy.Outcome{5432: policy.Allowed, 5433: policy.Denied} {
		v := (Dialect{scope}).Evaluate(policies, between(workload("checkout"), workload("orders-db"), port))
		if v.Outcome != want {
			t.Errorf("port %d: %s: %s", port, v.Outcome, v.Reason)
		}
	}
}
