package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Watch puts a cgroup in scope: flows that its tasks open from now on are recorded.
func (p *Probe) Watch(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_WATCHED); err != nil {
		return fmt.Errorf("watch cgroup %d: %w", cgroup, err)
	}
	return nil
}

// TrackNewCgroups puts every cgroup in scope that is created after leaf, as soon as it opens, binds, sends or receives
// anything, and reports it by a [CgroupEvent]. leaf must have been passed to [Probe.Watch] and [Probe.Check]. Cgroups
// nested in leaf belong to leaf; a cgroup nested in a new cgroup is a new cgroup of its own.
func (p *Probe) TrackNewCgroups(leaf uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level == 0 {
		return errors.New("track new cgroups: the level of the leaf cgroup is unknown: call Check first")
	}
	p.newCgroupsAfter = leaf
	return p.configure()
}

// TrackEntered puts a cgroup that is older than the leaf of [Probe.TrackNewCgroups] in scope as soon as a task enters
// it. An [EnterEvent] reports each such task. It has no effect if [Probe.EntriesUnreported] returns a reason.
func (p *Probe) TrackEntered(cgroup uint64) error {
	err := p.objects.OlderCgroups.Update(cgroup, uint64(0), ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("track tasks that enter cgroup %d: %w", cgroup, err)
	}
	return nil
}

// EntriesUnreported says why tasks that enter older cgroups are not reported; "" if they are.
func (p *Probe) EntriesUnreported() string { return p.entriesUnreported }

// Track puts a cgroup that is older than the leaf of [Probe.TrackNewCgroups] in scope, like a new one.
func (p *Probe) Track(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_TRACKED); err != nil {
		return fmt.Errorf("track cgroup %d: %w", cgroup, err)
	}
	return nil
}

// Ignore takes an unrelated cgroup out of scope permanently. Events from before are still delivered. The cgroup need
// not be tracked yet.
func (p *Probe) Ignore(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_IGNORED); err != nil {
		return fmt.Errorf("ignore cgroup %d: %w", cgroup, err)
	}
	return nil
}

// setState sets the state of a cgroup, and keeps the rest of its entry.
func (p *Probe) setState(cgroup uint64, state bpf.RecordScopeState) error {
	var s bpf.RecordScope
	if err := p.objects.Scopes.Lookup(cgroup, &s); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	s.State = uint32(state)
	return p.objects.Scopes.Update(cgroup, s, ebpf.UpdateAny)
}
