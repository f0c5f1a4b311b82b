package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// TracksDescendants reports whether all that this process starts since [Probe.Check], and all that those start, is in the scope of the
// cgroup that Check was given, in whatever cgroup it is. Until [Probe.EndScan] that holds too for what is started by
// descendants that are older; [Probe.AddDescendant] is for these themselves. Where it is false, which takes a kernel without
// BTF, only what is in a watched cgroup is in scope.
func (p *Probe) TracksDescendants() bool { return p.untracked == "" }

// trackDescendants is for a caller that holds mu, and configures the programs afterwards.
func (p *Probe) trackDescendants(leaf uint64, self Self) {
	if p.TracksDescendants() {
		p.leaf, p.ancestor, p.scanning = leaf, uint32(self.PID), true
	}
}

// EndScan says that all descendants of this process are known by now.
func (p *Probe) EndScan() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scanning = false
	return p.configure()
}

// AddDescendant says that a process, by its id in the initial pid namespace, descends from this one and belongs to a recording,
// or to none in particular (0). What is known of it already stays.
func (p *Probe) AddDescendant(pid int, of goroutine.ID) error {
	err := p.objects.Children.Update(uint32(pid), uint64(of), ebpf.UpdateNoExist)
	if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) { // nobody saw it end
		err = p.objects.Children.Delete(uint32(pid))
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("note that process %d descends from this one: %w", pid, err)
	}
	return nil
}

// Descendants returns the processes that are known to descend from this one, by their ids in the initial pid namespace, and the
// recordings to which they belong.
func (p *Probe) Descendants() (map[int]goroutine.ID, error) {
	children := p.objects.Children
	all := make(map[int]goroutine.ID)
	// In one go: whoever walks from key to key loses its way where one goes meanwhile.
	pids, recordings := make([]uint32, children.MaxEntries()), make([]uint64, children.MaxEntries())
	var cursor ebpf.MapBatchCursor
	for {
		n, err := children.BatchLookup(&cursor, pids, recordings, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("list the descendants of this process: %w", err)
		}
		for i := range n {
			all[int(pids[i])] = goroutine.ID(recordings[i])
		}
		if err != nil {
			return all, nil
		}
	}
}
