package scrub

import (
	"maps"
	"slices"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recording returns a copy of a recording with scrubbed command lines: see [Command]. It shares everything else with
// the recording.
func Recording(r recording.Recording) recording.Recording {
	r.Flows = slices.Clone(r.Flows)
	for i := range r.Flows {
		r.Flows[i].Process = process(r.Flows[i].Process)
	}
	r.EphemeralPorts = slices.Clone(r.EphemeralPorts)
	for i := range r.EphemeralPorts {
		r.EphemeralPorts[i].Flow.Process = process(r.EphemeralPorts[i].Flow.Process)
	}
	r.Initiators = maps.Clone(r.Initiators)
	for program, first := range r.Initiators {
		first.Process = process(first.Process)
		r.Initiators[program] = first
	}
	return r
}

func process(p flow.Process) flow.Process {
	p.Command, p.Exec = Command(p.Command), Command(p.Exec)
	return p
}
