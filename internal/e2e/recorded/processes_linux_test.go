package recorded

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// Two unrelated processes record at the same time, and this process runs without a recording. All three share a network
// and use the same addresses and ports at the same time. The second process runs a test with a third recording. The
// cgroup of the third recording is inside the second one's, so the second recording has the flows of both.
func TestScope_OwnProcessesOnly(t *testing.T) {
	lab := newLab(t)
	var arrived atomic.Int32
	bothThere := make(chan bool)
	lab.ServeTCP("203.0.113.12:1000", func(net.Conn) {
		if arrived.Add(1) == 2 {
			_, err := lab.Resolver().LookupHost(t.Context(), "refunds.pay.test.")
			if err := errors.Join(err, exchangeIn(lab, "tcp", "203.0.113.10:443"),
				exchangeIn(lab, "udp", "203.0.113.10:443")); err != nil {
				t.Error(err)
			}
			close(bothThere)
		}
		select {
		case <-bothThere:
		case <-time.After(patience): // the other process failed before it connected
		}
	})
	a, b := newShop(t, lab), newShop(t, lab)
	update := []string{"-update"}
	// The first process dials by address. The flow has the name that the first process looked up, not the name
	// that the lab's process looks up.
	endA := a.start(run{Open: "lookup/api.pay.test meet/203.0.113.12:1000 tcp/203.0.113.10:443 early/", Args: update,
		Env: []string{"EARLY=udp/203.0.113.11:8125"}})
	endB := b.start(run{Open: "meet/203.0.113.12:1000 test/tcp/203.0.113.12:5432 tcp/203.0.113.10:443", Args: update})
	endA().passes()
	endB().passes()
	a.golden("TestShop", "one.yaml")
	b.golden("TestShop", "other.yaml")
	b.dir = filepath.Join(b.dir, innerDir)
	b.golden("TestShop", "inner.yaml")
}

// exchangeIn is talk for the process that runs the lab.
func exchangeIn(lab *testnet.Net, network, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := lab.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return exchange(conn)
}
