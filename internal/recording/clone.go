package recording

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// CloneFlows returns flows that share no slices with these, so that a user may change them.
func CloneFlows(flows []flow.Flow) []flow.Flow {
	flows = slices.Clone(flows)
	for i := range flows {
		f := &flows[i]
		f.Binaries, f.Process.Parents = slices.Clone(f.Binaries), slices.Clone(f.Process.Parents)
		f.Requests = slices.Clone(f.Requests)
		f.Process.Stack = slices.Clone(f.Process.Stack)
	}
	return flows
}
