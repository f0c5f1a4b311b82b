package policy_test

import (
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func arrow(f flow.Flow) string { return f.Source.String() + " -> " + f.Target() }

func reversed(f flow.Flow) flow.Flow {
	f.Source, f.Destination = f.Destination, f.Source
	return f
}
