package manifest

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Serves reports whether the manifests name a port: the pods declare it, a Service of theirs has it or sends its
// clients there, or an Endpoints object does.
func (m Match) Serves(port uint16, protocol flow.Protocol) bool {
	key := portKey{port, protocol}
	return m.knows(key) || slices.ContainsFunc(m.targets, func(t target) bool { return t.key == key })
}
