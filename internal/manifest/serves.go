package manifest

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Serves reports whether the manifests name a port: the pods declare it, one of their Services has it or targets it, or
// an Endpoints object has it.
func (m Match) Serves(port uint16, protocol flow.Protocol) bool {
	key := portKey{port, protocol}
	return m.knows(key) || slices.ContainsFunc(m.targets, func(t target) bool { return t.key == key })
}
