package policy_test

import (
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func between(source, destination flow.Endpoint, port uint16) flow.Flow {
	return flow.Flow{Source: source, Destination: destination, Protocol: flow.TCP, Port: port, Count: 1}
}
