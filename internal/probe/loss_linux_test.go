package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// storm opens TCP connections to n closed ports.
func storm(t *testing.T, n int) {
	t.Helper()
	for port := range n {
		if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port+1)); err == nil {
			c.Close()
		}
	}
}

func TestLoss_FlowTableFull(t *testing.T) {
	testenv.Recorded(t, "flows are counted as lost if their table is full")
	r := newRig(t, Sizes{MaxFlows: 16})
	storm(t, 200)
	lost, err := r.Lost()
	check(t, err)
	if lost.FlowSlots < 200-16-8 { // the table's per-CPU caches may hold a few more
		t.Errorf("lost %+v, want about 184 flow slots", lost)
	}
	if got := len(r.flows()); got+int(lost.FlowSlots) != 200 {
		t.Errorf("%d flows and %d lost are not 200", got, lost.FlowSlots)
	}
}

func TestLoss_RingFull(t *testing.T) {
	testenv.Recorded(t, "events are counted as lost if the ring buffer is full")
	gate := make(chan struct{})
	r := newRig(t, Sizes{RingBytes: uint32(os.Getpagesize())})
	// The reader waits for the queue's lock during the storm.
	r.queue.mu.Lock()
	go func() { <-gate; r.queue.mu.Unlock() }()
	storm(t, 500)
	close(gate)
	lost, err := r.Lost()
	check(t, err)
	if got := len(r.flows()); lost.FlowEvents == 0 || got+int(lost.FlowEvents) != 500 {
		t.Errorf("%d flows and %d lost: want 500 together, some of them lost", got, lost.FlowEvents)
	}
}

// A connected datagram socket without datagrams has a stack, but no flow that could be lost.
func TestLoss_CallStacks(t *testing.T) {
	r := newRig(t, Sizes{RingBytes: uint32(os.Getpagesize())})
	check(t, r.Sync())
	before, err := r.Lost()
	check(t, err)
	r.queue.mu.Lock()
	storm(t, 1) // the reader waits for the lock with this flow; it does not queue stacks, and would read on
	for port := range 100 {
		if c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port+1)); err == nil {
			c.Close()
		}
	}
	r.queue.mu.Unlock()
	after, err := r.Lost()
	check(t, err)
	if lost := after.Minus(before); lost.Stacks == 0 || lost != (Loss{Stacks: lost.Stacks}) {
		t.Errorf("lost %+v, want call stacks and nothing else", lost)
	}
}

func TestLoss_ErrorNamesCauseAndRemedy(t *testing.T) {
	err := error(&LossError{Loss{FlowEvents: 3, DNSEvents: 2}.Minus(Loss{FlowEvents: 1})})
	var loss *LossError
	if !errors.As(err, &loss) || loss.Loss.FlowEvents != 2 {
		t.Fatalf("loss is %+v", loss)
	}
	for _, want := range []string{"2 new flows", "2 DNS answers", "NETZERO_RING_BYTES"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
	}
	for want, loss := range map[string]Loss{
		"NETZERO_MAX_FLOWS":        {FlowSlots: 1},
		"NETZERO_RING_BYTES":       {CgroupEvents: 1},
		"raise NETZERO_RING_BYTES": {Stacks: 1},
		"stop other work":          {Cgroups: 1},
	} {
		if text := (&LossError{loss}).Error(); !strings.Contains(text, want) {
			t.Errorf("%q does not contain %q", text, want)
		}
	}
	for what, loss := range map[string]Loss{
		"flows":             {FlowEvents: 1, FlowSlots: 1, Cgroups: 1},
		"names":             {NameEvents: 1, NameSlots: 1, Cgroups: 1},
		"answers and flows": {DNSEvents: 1, FlowSlots: 1, Cgroups: 1},
		"binds and names":   {BindEvents: 1, NameSlots: 1, Cgroups: 1},
		"cgroups and flows": {CgroupEvents: 1, FlowSlots: 1, Cgroups: 1},
	} {
		for _, want := range []string{"raise NETZERO_MAX_FLOWS and NETZERO_RING_BYTES", "stop other work"} {
			if text := (&LossError{loss}).Error(); !strings.Contains(text, want) {
				t.Errorf("%s were lost, and %q does not contain %q", what, text, want)
			}
		}
	}
}

func TestLoss_PartsAreAllFields(t *testing.T) {
	var loss Loss
	fields := reflect.ValueOf(&loss).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetUint(uint64(i + 1))
	}
	counted := make(map[uint64]bool)
	for _, part := range loss.Parts() {
		counted[part.Count] = true
	}
	if len(counted) != fields.NumField() {
		t.Errorf("%d kinds of events, want %d: %+v", len(counted), fields.NumField(), loss.Parts())
	}
}

func TestClose_LeavesNothing(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "programs load, attach and are removed completely")
	net.Dial("tcp4", "127.0.0.1:1") // the runtime opens its own descriptors here
	before := descriptors(t)
	var leaf string
	t.Run("recording", func(t *testing.T) { leaf = newRig(t, Sizes{}).leaf.Path })
	if after := descriptors(t); after > before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
	if _, err := os.Stat(leaf); !os.IsNotExist(err) {
		t.Errorf("the leaf is still there: %v", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}
