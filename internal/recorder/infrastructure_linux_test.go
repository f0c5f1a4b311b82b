package recorder

import (
	"net"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/probe"
)

// The kernel folds repeated flows to one destination. If it counted more than the health check, the container may have
// opened the rest.
func TestInfrastructure_FoldedWithOtherFlows(t *testing.T) {
	r := startRecorder(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := listener.Addr().(*net.TCPAddr).AddrPort()
	for _, times := range []uint64{1, 2} {
		for range times {
			conn, err := net.Dial("tcp4", to.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		counts, err := r.session.Probe.Counts()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for key, count := range counts {
			if key.Addr != to.Addr() || key.Port != to.Port() {
				continue
			}
			found = true
			r.mu.Lock()
			ambiguous, forgotten := r.handleInfrastructure(&probe.FlowEvent{Key: key}, healthChecks, []string{""}, nil)
			if ambiguous != (times > 1) || ambiguous && forgotten != times || count != times {
				t.Errorf("%d times: ambiguous=%t, forgotten=%d, counted=%d", times, ambiguous, forgotten, count)
			}
			again, _ := r.handleInfrastructure(&probe.FlowEvent{Key: key}, healthChecks, []string{""}, nil)
			if again || r.failure != nil {
				t.Errorf("once more: ambiguous=%t, %v", again, r.failure)
			}
			r.mu.Unlock()
		}
		if !found {
			t.Errorf("%d times: no flow to %s", times, to)
		}
	}
}

// strategy is a wait.Strategy by the name of its method.
type strategy struct{ dial func() }

//go:noinline
func (s strategy) WaitUntilReady() { s.dial() }

// The kernel forgets the flow of a wait strategy even while the recorder is busy. Otherwise the next flow to the same
// destination, which may be the test's, would be folded with it.
func TestInfrastructure_ForgottenAtOnce(t *testing.T) {
	r := startRecorder(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := listener.Addr().(*net.TCPAddr).AddrPort()
	isKnown := func() bool {
		counts, err := r.session.Probe.Counts()
		if err != nil {
			t.Fatal(err)
		}
		for key := range counts {
			if key.Addr == to.Addr() && key.Port == to.Port() {
				return true
			}
		}
		return false
	}
	r.mu.Lock() // it handles no event
	defer r.mu.Unlock()
	strategy{func() {
		conn, err := net.Dial("tcp4", to.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}}.WaitUntilReady()
	for deadline := time.Now().Add(30 * time.Second); isKnown(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the flow of the wait strategy is still known")
		}
	}
	conn, err := net.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	time.Sleep(10 * time.Millisecond)
	if !isKnown() {
		t.Error("the flow of the test is not known")
	}
}
