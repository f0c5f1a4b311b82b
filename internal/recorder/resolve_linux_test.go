package recorder

import (
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestResolve_InitiatorIsTheEarliest(t *testing.T) {
	var r recording.Recording
	for pid, first := range map[int]time.Duration{11: 1, 12: 2, 13: 3} {
		addInitiator(&r, flow.Flow{
			Source: flow.WorkloadEndpoint("job"), Binaries: []string{"sh"}, First: first, Process: flow.Process{PID: pid},
		})
	}
	addInitiator(&r, flow.Flow{Source: flow.WorkloadEndpoint("job")}) // no known program
	got := r.Initiators[recording.Program{Workload: flow.WorkloadEndpoint("job"), Binary: "sh"}]
	if len(r.Initiators) != 1 || got.Process.PID != 11 {
		t.Errorf("%+v, want process 11 alone", r.Initiators)
	}
}
