package probe

import (
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// keyFor is the key of a flow that no test opens.
func keyFor(n int, name uint64) Key {
	return Key{
		Cgroup: 1, Name: name, Addr: netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}), Port: 443, Protocol: flow.TCP,
	}
}

// churn deletes and inserts entries of a map until stop is called.
func churn[K any](t *testing.T, m *ebpf.Map, key func(i int) K, value any) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	var done sync.WaitGroup
	for worker := range 2 {
		done.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				k := key(worker + 2*(i%16))
				if err := m.Update(k, value, ebpf.UpdateAny); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
					continue // full for a moment
				}
				_ = m.Delete(k)
			}
		})
	}
	return sync.OnceFunc(func() { close(end); done.Wait() })
}

func TestCounts_CompleteDuringDeletions(t *testing.T) {
	testenv.Recorded(t, "flows and server names are read completely during deletions")
	const stay = 200
	r := newRig(t, Sizes{MaxFlows: stay + 8})
	want, wantNames := make(map[Key]bool), make(map[ServerNameKey]bool)
	for i := range stay {
		k := keyFor(i, 1)
		want[k], wantNames[ServerNameKey{Key: k, Hash: 1}] = true, true
		check(t, r.objects.Flows.Update(keyTo(k), bpf.RecordFlow{Count: 1}, ebpf.UpdateAny))
		check(t, r.objects.ServerNames.Update(bpf.RecordServerNameKey{Flow: keyTo(k), Hash: 1}, uint64(1), ebpf.UpdateAny))
	}
	stopFlows := churn(t, r.objects.Flows, func(i int) bpf.RecordFlowKey {
		return keyTo(keyFor(i, 2))
	}, bpf.RecordFlow{Count: 1})
	defer stopFlows()
	stopNames := churn(t, r.objects.ServerNames, func(i int) bpf.RecordServerNameKey {
		return bpf.RecordServerNameKey{Flow: keyTo(keyFor(i, 2)), Hash: 1}
	}, uint64(1))
	defer stopNames()
	for range 100 {
		counts, err := r.Counts()
		if missing := missing(want, counts); err == nil && missing > 0 {
			t.Fatalf("%d of %d flows are missing without an error", missing, stay)
		}
		names, err := r.NameCounts()
		if missing := missing(wantNames, names); err == nil && missing > 0 {
			t.Fatalf("%d of %d server names are missing without an error", missing, stay)
		}
	}
	stopFlows()
	stopNames()
	if counts, err := r.Counts(); err != nil || missing(want, counts) > 0 {
		t.Errorf("without changes: %v, %d missing", err, missing(want, counts))
	}
}

func missing[K comparable](want map[K]bool, got map[K]uint64) (n int) {
	for k := range want {
		if got[k] != 1 {
			n++
		}
	}
	return n
}

func TestCounts_UnreadableMapIsAnError(t *testing.T) {
	r := newRig(t, Sizes{})
	flows := r.objects.Flows
	closed, err := flows.Clone()
	check(t, err)
	check(t, closed.Close())
	r.objects.Flows = closed
	_, err = r.Counts()
	r.objects.Flows = flows
	if err == nil {
		t.Error("unreadable flows are no error")
	}
	names := r.objects.ServerNames
	r.objects.ServerNames = closed
	_, err = r.NameCounts()
	r.objects.ServerNames = names
	if err == nil {
		t.Error("unreadable server names are no error")
	}
}
