package probe

import (
	"fmt"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/netzero-dev/netzero/internal/dns"
)

// connectTo opens TCP connections to closed ports.
func connectTo(ports ...int) {
	for _, port := range ports {
		if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
		}
	}
}

func TestPause_EventsAreMissed(t *testing.T) {
	r := newRig(t, Sizes{})
	connectTo(1)
	check(t, r.Pause())
	connectTo(2, 3)
	var missed []uint16
	ok, err := r.Missed(func(e Event) bool {
		if f, ok := e.(*FlowEvent); ok {
			missed = append(missed, f.Port)
		}
		return true
	})
	if err != nil || !ok {
		t.Fatalf("Missed: %v, %v", ok, err)
	}
	r.Resume()
	connectTo(4)
	var delivered []uint16
	for _, f := range seen[*FlowEvent](r) {
		delivered = append(delivered, f.Port)
	}
	if !slices.Equal(missed, []uint16{2, 3}) || !slices.Equal(delivered, []uint16{1, 4}) {
		t.Errorf("missed %v and delivered %v, want 2 and 3, 1 and 4", missed, delivered)
	}
}

func TestPause_RestIsDelivered(t *testing.T) {
	r := newRig(t, Sizes{})
	check(t, r.Pause())
	connectTo(1, 2)
	ok, err := r.Missed(func(e Event) bool {
		_, isFlow := e.(*FlowEvent)
		return !isFlow
	})
	if err != nil || ok {
		t.Errorf("Missed, with an event that ends it: %v, %v", ok, err)
	}
	r.Resume()
	if flows := seen[*FlowEvent](r); len(flows) != 1 || flows[0].Port != 2 {
		t.Errorf("delivered %v, want the second of two", flows)
	}
}

func TestPause_LossIsReported(t *testing.T) {
	r := newRig(t, Sizes{RingBytes: uint32(os.Getpagesize())})
	check(t, r.Pause())
	storm(t, 500)
	ok, err := r.Missed(func(Event) bool { return true })
	if err != nil || ok {
		t.Errorf("Missed, after a loss: %v, %v", ok, err)
	}
}

func TestForgetFlows_FreesTable(t *testing.T) {
	r := newRig(t, Sizes{MaxFlows: 200})
	storm(t, 150)
	check(t, r.ForgetFlows())
	_, err := r.NextGeneration()
	check(t, err)
	storm(t, 150)
	lost, err := r.Lost()
	check(t, err)
	if got := len(r.flows()); got != 300 || lost != (Loss{}) {
		t.Errorf("%d flows, lost %+v, want 300 and nothing", got, lost)
	}
}

func TestForgetNames_OfAnswers(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	s.answer(message(t, "a.test.", "a.test. A 127.0.0.77"))
	if name, _ := r.dial(edge); name != dns.Hash("a.test") {
		t.Errorf("name %x before, want that of a.test", name)
	}
	check(t, r.ForgetNames())
	_, err := r.NextGeneration()
	check(t, err)
	if name, isNew := r.dial(edge); name != 0 || !isNew {
		t.Errorf("name %x afterwards, new %v; want none in a new flow", name, isNew)
	}
}
