package containers

import (
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// shortLived is the number of containers that connect at once and exit. The recording must contain each of them.
const shortLived = 100

func TestLifecycle_ShortLived(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 udp::5353 then wait", rec.As("db"), in(n, "db"))
	command := "dial db:5432 udp:db:5353"
	start := time.Now()
	for range shortLived {
		docker(t, "run", "--rm", "--network", n.Name, "--label", "dev.netzero.workload=batch", image, command)
	}
	t.Logf("%v a container", time.Since(start)/shortLived)
	seen := make(map[string]uint64)
	for _, f := range rec.Flows() {
		if f.Source.Name == "batch" && f.Destination.Kind == flow.Workload {
			seen[f.Target()] += f.Count
		}
	}
	for _, target := range []string{"db:5432/TCP", "db:5353/UDP"} {
		if seen[target] != shortLived {
			t.Errorf("%d flows to %s were recorded, want %d", seen[target], target, shortLived)
		}
	}
}
