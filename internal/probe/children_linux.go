package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// Children returns the processes that belong to recordings because of who started them, by their ids in the initial pid namespace.
func (p *Probe) Children() (of map[int]goroutine.ID, err error) {
	if p.mixed != "" || p.orphans != "" {
		return nil, nil
	}
	for range maxIterations {
		children := make(map[int]goroutine.ID)
		var pid uint32
		var recording uint64
		all := p.objects.Children.Iterate()
		for all.Next(&pid, &recording) {
			children[int(pid)] = goroutine.ID(recording)
		}
		err = all.Err()
		if err == nil {
			return children, nil
		}
		if !errors.Is(err, ebpf.ErrIterationAborted) { // too many came and went meanwhile
			break
		}
	}
	return nil, fmt.Errorf("list children: %w", err)
}

// maxIterations is how often a table is read that changes faster than it is read.
const maxIterations = 10

// OwnChild says that a process belongs to a recording, and so do those that it starts.
func (p *Probe) OwnChild(pid int, id goroutine.ID) error {
	if p.mixed != "" || p.orphans != "" {
		return nil
	}
	if err := p.objects.Children.Update(uint32(pid), uint64(id), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("note whose a process is: %w", err)
	}
	return nil
}
