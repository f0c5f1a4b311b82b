package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// TracksDescendants reports whether all descendants of this process that were started since [Probe.Check] are in the
// scope of the cgroup passed to Check, in any cgroup. Until [Probe.EndScan] that includes processes started by older
// descendants; [Probe.AddDescendant] adds those themselves. On a kernel without BTF it returns false: then only watched
// cgroups are in scope.
func (p *Probe) TracksDescendants() bool { return p.untracked == "" }

// trackDescendants requires mu. The caller then configures the programs.
func (p *Probe) trackDescendants(leaf uint64, self Self) {
	if p.TracksDescendants() {
		p.leaf, p.ancestor, p.scanning = leaf, uint32(self.PID), true
	}
}

// EndScan tells the programs that all older descendants were added.
func (p *Probe) EndScan() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scanning = false
	return p.configure()
}

// AddDescendant adds a process, by its id in the initial pid namespace, as a descendant of this one that belongs to a
// recording, or to none (0). An existing entry stays.
func (p *Probe) AddDescendant(pid int, of goroutine.ID) error {
	err := p.objects.Children.Update(uint32(pid), uint64(of), ebpf.UpdateNoExist)
	if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) { // its exit was missed
		err = p.objects.Children.Delete(uint32(pid))
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("track descendant process %d: %w", pid, err)
	}
	return nil
}

// Descendants returns the known descendants of this process, by their ids in the initial pid namespace, and their
// recordings.
func (p *Probe) Descendants() (map[int]goroutine.ID, error) {
	children := p.objects.Children
	all := make(map[int]goroutine.ID)
	// In batches: iterating from key to key loses its position if a key is deleted.
	pids, recordings := make([]uint32, children.MaxEntries()), make([]uint64, children.MaxEntries())
	var cursor ebpf.MapBatchCursor
	for {
		n, err := children.BatchLookup(&cursor, pids, recordings, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("list descendant processes: %w", err)
		}
		for i := range n {
			all[int(pids[i])] = goroutine.ID(recordings[i])
		}
		if err != nil {
			return all, nil
		}
	}
}
