package probe

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Pause delivers all events that the kernel wrote before the call, and then ends the goroutines that read events. The
// programs stay attached, and the kernel keeps later events until [Probe.Resume]. It must not be called after
// [Probe.EnableRequests].
func (p *Probe) Pause() error {
	err := p.Sync()
	lost, lostErr := p.Lost()
	err = errors.Join(err, lostErr, p.ring.stop())
	p.done.Wait()
	p.ring.commit()
	p.lostBefore = lost
	return err
}

// Resume ends a pause. It passes every event since then to missed, and does not deliver it. It returns false, and the
// pause goes on, if missed returns false for an event, or if the kernel had no room for one.
func (p *Probe) Resume(missed func(Event) bool) (bool, error) {
	lost, err := p.Lost()
	if err != nil || lost != p.lostBefore {
		return false, err
	}
	for {
		sample, err := p.ring.unread()
		if err != nil {
			return false, err
		}
		if sample == nil {
			break
		}
		e, err := decode(sample)
		if err != nil {
			return false, err
		}
		if !missed(e) {
			return false, nil
		}
	}
	p.ring.commit()
	p.ring.stopping.Store(false)
	p.start()
	return true, nil
}

// ForgetNames makes the programs forget what DNS answered so far.
func (p *Probe) ForgetNames() error {
	if err := removeAll(p.objects.Names, bpf.RecordNameKey{}, bpf.RecordName{}); err != nil {
		return fmt.Errorf("forget DNS names: %w", err)
	}
	return nil
}

// ForgetFlows frees the space of all flows and server names so far. Their counts are lost.
func (p *Probe) ForgetFlows() error {
	err := errors.Join(
		removeAll(p.objects.Flows, bpf.RecordFlowKey{}, bpf.RecordFlow{}),
		removeAll(p.objects.ServerNames, bpf.RecordServerNameKey{}, uint64(0)),
	)
	if err != nil {
		return fmt.Errorf("forget flows: %w", err)
	}
	return nil
}

// removeAll removes the entries of a hash map. K and V are the types of its keys and values.
func removeAll[K, V any](m *ebpf.Map, _ K, _ V) error {
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

// unread returns the next record without waiting for one, or nil if all records are read. No goroutine may call next.
func (r *ring) unread() ([]byte, error) {
	for r.written() != r.at {
		start := r.at % uintptr(len(r.data)/2)
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[start])))
		if head&ringBusy != 0 {
			if err := r.wait(ringBusyInterval); err != nil {
				return nil, fmt.Errorf("poll ring buffer: %w", err)
			}
			continue
		}
		length := uintptr(head &^ (ringBusy | ringDiscard))
		r.at += ringHeader + (length+7)&^7
		if head&ringDiscard == 0 {
			return r.data[start+ringHeader:][:length], nil
		}
	}
	return nil, nil
}
