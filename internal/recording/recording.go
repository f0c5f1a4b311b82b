// Package recording holds what one recording saw, as plain values: workloads, flows, notices and losses.
//
// A [Recording] is what package recorder delivers, and what placement and check begin with. A [File] holds it as JSON,
// with its test, its place in the cluster and the verdicts. Package check gives the same verdicts on a recording that
// was read from a file, and the same report, except for secrets that it removed from command lines.
//
// The package does not interpret flows and decides nothing. It refuses a file that it does not fully understand:
// another version, an unknown field, an unknown kind of endpoint.
package recording

import (
	"errors"
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

	Notices []Notice

	// Initiators maps each program to the process that opened its first flow.
	Initiators map[Program]Initiator

	// EphemeralPorts are the flows to ports that the next run may not have, in the order of [flow.Flow.Compare].
	EphemeralPorts []EphemeralPort

	// Losses are the events that were lost. A recording with losses is incomplete.
	Losses []Loss
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

// Loss is a kind of event that was lost during a recording.
type Loss struct {
	What   string `json:"what"` // "new flows (ring buffer full)"
	Count  uint64 `json:"count"`
	Remedy string `json:"remedy,omitempty"` // "raise NETZERO_RING_BYTES"
}

// LossError says that events were lost.
type LossError struct {
	Losses []Loss
	Err    error // describes all of them
}

func (e *LossError) Error() string { return e.Err.Error() }

func (e *LossError) Unwrap() error { return e.Err }

// LossesOf returns the losses of a [*LossError] in the tree of an error.
func LossesOf(err error) []Loss {
	var lost *LossError
	if errors.As(err, &lost) {
		return lost.Losses
	}
	return nil
}
