package networkpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// nameOf returns the entry that allows an external flow.
func nameOf(f flow.Flow) policy.AllowedName {
	return policy.AllowedName{Host: f.Destination.Name, Port: f.Port, Protocol: f.Protocol}
}

// EntryOf returns the entry of [policy.NamesAnnotation] that an external flow is written as.
func (d Dialect) EntryOf(f flow.Flow) string {
	n := nameOf(f)
	n.Host = d.Folded(n.Host)
	return n.String()
}
