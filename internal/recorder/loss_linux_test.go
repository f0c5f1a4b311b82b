package recorder

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/probe"
)

// The error names every loss and its remedy.
func TestLoss_ErrorNamesEverything(t *testing.T) {
	before := lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 2, streams: 1}
	if err := before.since(before); err != nil {
		t.Errorf("nothing was lost, but %v", err)
	}
	for _, row := range []struct {
		lost lossCount
		want []string
	}{
		{lossCount{kernel: probe.Loss{FlowSlots: 5}, names: 2, streams: 1}, []string{"2 new flows (flow table full)", "NETZERO_MAX_FLOWS"}},
		{lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 9, streams: 1}, []string{"7 names gave way to newer ones: 65536 are kept", "go test -run"}},
		{lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 2, streams: 2}, []string{"1 TCP connections", "go test -parallel"}},
		{lossCount{kernel: probe.Loss{FlowSlots: 4, FlowEvents: 1}, names: 3, streams: 2},
			[]string{"raise NETZERO_MAX_FLOWS and NETZERO_RING_BYTES", "1 names gave way", "1 TCP connections"}},
	} {
		err := row.lost.since(before)
		for _, want := range row.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v does not contain %q", err, want)
			}
		}
		var kernel *probe.LossError
		if errors.As(err, &kernel) != (row.lost.kernel != before.kernel) {
			t.Errorf("%v: loss of the kernel: %v", err, kernel)
		}
	}
}
