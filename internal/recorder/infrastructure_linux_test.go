package recorder

import (
	"net"
	"testing"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// The kernel folds repeated flows to one destination. If it counted more than the health check, the container may have
// opened the rest.
func TestInfrastructure_FoldedWithOtherFlows(t *testing.T) {
	testenv.RequireRoot(t)
	c, err := newRecorder(probe.Sizes{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
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
		counts, err := c.session.Probe.Counts()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for key, count := range counts {
			if key.Addr != to.Addr() || key.Port != to.Port() {
				continue
			}
			found = true
			c.mu.Lock()
			ambiguous, forgotten := c.handleInfrastructure(&probe.FlowEvent{Key: key}, healthChecks, []string{""}, nil)
			if ambiguous != (times > 1) || ambiguous && forgotten != times || count != times {
				t.Errorf("%d times: ambiguous=%t, forgotten=%d, counted=%d", times, ambiguous, forgotten, count)
			}
			if again, _ := c.handleInfrastructure(&probe.FlowEvent{Key: key}, healthChecks, []string{""}, nil); again || c.failure != nil {
				t.Errorf("once more: ambiguous=%t, %v", again, c.failure)
			}
			c.mu.Unlock()
		}
		if !found {
			t.Errorf("%d times: no flow to %s", times, to)
		}
	}
}
