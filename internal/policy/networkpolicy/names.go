package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// nameOf returns the entry that allows an external flow.
func nameOf(f flow.Flow) policy.AllowedName {
	return policy.AllowedName{Host: f.Destination.Name, Port: f.Port, Protocol: f.Protocol}
}
