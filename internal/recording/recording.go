// Package recording holds what one recording saw, as plain values: workloads, flows, notices, and why it is incomplete.
//
// A [Recording] is what package recorder delivers, and what placement and check begin with. A [File] is the same with its
// place in the cluster, in a JSON file. The package does not interpret flows and decides nothing. It refuses a file that it
// does not fully understand: another version, an unknown field, an unknown kind of endpoint. Command lines are left out of
// files, because they may hold secrets.
package recording

import (
	"strings"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recording is what one recording saw, before the manifests have given its workloads a place in the cluster.
type Recording struct {
	// Flows are those of the test and its containers, sorted. Loopback inside one workload, infrastructure of the test
	// such as wait strategies, and what belongs to unrelated processes are not among them.
	Flows []flow.Flow

	// Workloads are those that get a policy, sorted by name and namespace.
	Workloads []Workload

	Notices   []string // for the report, one text each
	Announced []string // notices that are printed without -v, too

	// Initiators maps each program to the process that opened its first flow.
	Initiators map[Program]Initiator

	// EphemeralPorts are the flows to ports that the next run may not have, in the order of [flow.Flow.Compare].
	EphemeralPorts []EphemeralPort

	// Unserved describes the attempts to reach a port of this machine at which nobody listened, one text each.
	Unserved []string
}

// Program is an executable in the workload that it ran in.
type Program struct {
	Workload flow.Endpoint // its [flow.Endpoint.Identity]
	Binary   string        // as in [flow.Flow].Binaries
}

// Initiator is a process that opened a flow.
type Initiator struct {
	Process flow.Process
	First   time.Duration // from the start of the recording to the flow
}

// AddInitiator records the process that opened a flow, unless another one of its program was earlier.
func (r *Recording) AddInitiator(f flow.Flow) {
	if r.Initiators == nil {
		r.Initiators = make(map[Program]Initiator)
	}
	for _, binary := range f.Binaries {
		key := Program{f.Source.Identity(), binary}
		if before, known := r.Initiators[key]; !known || f.First < before.First {
			r.Initiators[key] = Initiator{f.Process, f.First}
		}
	}
}

// EphemeralPort is a flow to a port that the kernel may have assigned to a server which asked for any. The next run may
// have another one, so no golden file may hold it.
type EphemeralPort struct {
	Flow      flow.Flow
	Container string // name and image of the container that serves; empty if none does
	Test      bool   // the server is the test process
}

// OptionError says what is wrong with options that only the recording could prove wrong.
type OptionError struct{ Texts []string }

func (e *OptionError) Error() string { return strings.Join(e.Texts, "; ") }
