package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Counts returns how often each flow was seen: connection attempts for TCP, datagrams for all else. An error says that some
// may be missing.
func (p *Probe) Counts() (map[Key]uint64, error) {
	counts := make(map[Key]uint64)
	err := readMap(p.objects.Flows, func(k bpf.RecordFlowKey, f bpf.RecordFlow) { counts[keyOf(k)] = f.Count })
	if err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
	}
	return counts, nil
}

// NameCounts returns how many TCP connections named their server so. An error says that some may be missing.
func (p *Probe) NameCounts() (map[ServerNameKey]uint64, error) {
	counts := make(map[ServerNameKey]uint64)
	err := readMap(p.objects.ServerNames, func(k bpf.RecordServerNameKey, n uint64) { counts[serverNameKeyOf(k)] = n })
	if err != nil {
		return nil, fmt.Errorf("read names of servers: %w", err)
	}
	return counts, nil
}

var errRestarted = errors.New("entries were deleted faster than the map could be read")

// maxPasses is how often a map may be passed over. It is read from the beginning again where the entry that was read last is
// deleted.
const maxPasses = 64

// readMap reads a hash map whole: every entry that was there all the time, some of them more than once.
//
// It does not use ebpf.MapIterator, which gives up after as many entries as the map is made for. A map without preallocation
// may hold more, because the kernel counts its entries for each CPU.
func readMap[K, V any](m *ebpf.Map, read func(K, V)) error {
	var last any // nil before the first key
	for steps := 0; ; steps++ {
		var k K
		var v V
		err := m.NextKey(last, &k)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("get next key: %w", err)
		}
		if steps > maxPasses*int(m.MaxEntries()) {
			return errRestarted
		}
		last = &k
		err = m.Lookup(&k, &v)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("look up key: %w", err)
		}
		read(k, v)
	}
}
