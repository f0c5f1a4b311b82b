package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Counts returns the count of each flow: connection attempts for TCP, datagrams for all other protocols. If it returns
// an error, some flows may be missing.
func (p *Probe) Counts() (map[Key]uint64, error) {
	counts := make(map[Key]uint64)
	err := readMap(p.objects.Flows, func(k bpf.RecordFlowKey, f bpf.RecordFlow) { counts[keyOf(k)] = f.Count })
	if err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
	}
	return counts, nil
}

// NameCounts returns the number of TCP connections for each server name. If it returns an error, some names may be
// missing.
func (p *Probe) NameCounts() (map[ServerNameKey]uint64, error) {
	counts := make(map[ServerNameKey]uint64)
	err := readMap(p.objects.ServerNames, func(k bpf.RecordServerNameKey, n uint64) { counts[serverNameKeyOf(k)] = n })
	if err != nil {
		return nil, fmt.Errorf("read server names: %w", err)
	}
	return counts, nil
}

var errRestarted = errors.New("entries were deleted faster than the map could be read")

// maxPasses limits the passes over a map. A pass starts again from the beginning if the last entry read was deleted.
const maxPasses = 64

// readMap reads a whole hash map: every entry that exists throughout, some of them more than once.
//
// It does not use ebpf.MapIterator, which gives up after MaxEntries entries. A map without preallocation may hold more,
// because the kernel counts its entries on each CPU.
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
			continue // deleted in between
		}
		if err != nil {
			return fmt.Errorf("look up key: %w", err)
		}
		read(k, v)
	}
}
