package recorder

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recording"
)

// The error names every loss and its remedy.
func TestLoss_ErrorNamesEverything(t *testing.T) {
	before := lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 2, streams: 1}
	if err := before.since(before); err != nil {
		t.Errorf("nothing was lost, but %v", err)
	}
	for _, row := range []struct {
		lost   lossCount
		losses int
		want   []string
	}{
		{
			lossCount{kernel: probe.Loss{FlowSlots: 5}, names: 2, streams: 1}, 1,
			[]string{"2 new flows (flow table full)", "NETZERO_MAX_FLOWS"},
		},
		{lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 9, streams: 1}, 1, []string{
			"7 DNS names were dropped for newer ones: at most 65536 are kept", "go test -run",
		}},
		{
			lossCount{kernel: probe.Loss{FlowSlots: 3}, names: 2, streams: 2}, 1,
			[]string{"1 TCP connections", "go test -parallel"},
		},
		{lossCount{kernel: probe.Loss{FlowSlots: 4, FlowEvents: 1}, names: 3, streams: 2}, 4,
			[]string{
				"raise NETZERO_MAX_FLOWS and NETZERO_RING_BYTES", "1 DNS names were dropped", "1 TCP connections",
			}},
	} {
		err := row.lost.since(before)
		for _, want := range row.want {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v does not contain %q", err, want)
			}
		}
		for _, loss := range recording.LossesOf(err) {
			remedy := strings.TrimPrefix(loss.Remedy, "raise ")
			if loss.Count == 0 || loss.What == "" || !strings.Contains(fmt.Sprint(err), remedy) {
				t.Errorf("%v has the loss %+v", err, loss)
			}
		}
		if got := len(recording.LossesOf(err)); got != row.losses {
			t.Errorf("%v has %d losses, want %d", err, got, row.losses)
		}
		var kernel *probe.LossError
		if errors.As(err, &kernel) != (row.lost.kernel != before.kernel) {
			t.Errorf("%v: loss of the kernel: %v", err, kernel)
		}
	}
}
