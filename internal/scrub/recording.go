package scrub

import (
	"maps"
	"slices"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Recording returns a copy of a recording with scrubbed command lines, see [Command], and with [Query] in place of the
// queries of requests. It shares everything else with the recording.
func Recording(r recording.Recording) recording.Recording {
	r.Flows = slices.Clone(r.Flows)
	for i := range r.Flows {
		r.Flows[i].Process = process(r.Flows[i].Process)
		r.Flows[i].Requests = requests(r.Flows[i].Requests)
	}
	r.EphemeralPorts = slices.Clone(r.EphemeralPorts)
	for i := range r.EphemeralPorts {
		f := &r.EphemeralPorts[i].Flow
		f.Process, f.Requests = process(f.Process), requests(f.Requests)
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
