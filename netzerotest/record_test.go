package netzerotest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecording_RefusedIsPartOfFlows(t *testing.T) {
	flows := []Flow{{Port: 1, Count: 2}, {Port: 2, Count: 2, Refused: 1}, {Port: 3, Count: 3, Refused: 3}}
	r := &Recording{final: flows}
	if diff := cmp.Diff(flows[1:], r.Refused()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(flows, r.Flows()); diff != "" {
		t.Errorf("Refused changed the flows (-want +got)\n%s", diff)
	}
}
