package networkpolicy

import (
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// EntryOf returns the entry of [policy.NamesAnnotation] that an external flow is written as.
func (s Dialect) EntryOf(f flow.Flow) string {
	n := nameOf(f)
	n.Host = s.Folded(n.Host)
	return n.String()
}
