package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Pause delivers all events that the kernel wrote before the call, and then ends the goroutines that read events. The
// programs stay attached. The kernel keeps later events for [Probe.Missed] and [Probe.Resume]. Pause must not be called
// after [Probe.EnableRequests].
func (p *Probe) Pause() error {
	err := p.Sync()
	lost, lostErr := p.Lost()
	err = errors.Join(err, lostErr, p.ring.stop())
	p.done.Wait()
	p.ring.commit()
	p.lostBefore = lost
	return err
}

// Missed calls do with each event since [Probe.Pause]; none of them is delivered. It returns false, and leaves out the
// rest, if do returns false, or if the kernel had no room for an event.
func (p *Probe) Missed(do func(Event) bool) (bool, error) {
	lost, err := p.Lost()
	if err != nil || lost != p.lostBefore {
		return false, err
	}
	defer p.ring.commit()
	for {
		sample, err := p.ring.unread()
		if err != nil || sample == nil {
			return err == nil, err
		}
		e, err := decode(sample)
		if err != nil {
			return false, err
		}
		if _, isStack := e.(*stackEvent); !isStack && !do(e) {
			return false, nil
		}
	}
}

// Resume ends a pause: it delivers the events that [Probe.Missed] has not returned, and those that follow.
func (p *Probe) Resume() {
	p.ring.stopping.Store(false)
	p.start()
}

// ForgetNames makes the programs forget what DNS answered so far.
func (p *Probe) ForgetNames() error {
	if err := removeAll[bpf.RecordNameKey, bpf.RecordName](p.objects.Names); err != nil {
		return fmt.Errorf("forget DNS names: %w", err)
	}
	return nil
}

// ForgetFlows frees the space of all flows and server names so far. Their counts are lost.
func (p *Probe) ForgetFlows() error {
	err := errors.Join(
		removeAll[bpf.RecordFlowKey, bpf.RecordFlow](p.objects.Flows),
		removeAll[bpf.RecordServerNameKey, uint64](p.objects.ServerNames),
	)
	if err != nil {
		return fmt.Errorf("forget flows: %w", err)
	}
	return nil
}

// removeAll removes the entries of a hash map. K and V are the types of its keys and values.
func removeAll[K, V any](m *ebpf.Map) error {
	const batch = 4096 // more than a bucket has
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, batch), make([]V, batch)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for _, key := range keys[:n] {
			if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
