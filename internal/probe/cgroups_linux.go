package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
)

// Watch puts a cgroup in scope: what its tasks open from now on is recorded.
func (p *Probe) Watch(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_WATCHED); err != nil {
		return fmt.Errorf("watch cgroup %d: %w", cgroup, err)
	}
	return nil
}

// TrackNewCgroups puts every cgroup in scope that is born after leaf, which [Probe.Watch] and [Probe.Check] were given, as
// soon as it opens, binds, sends or receives anything, and tells of each by a [CgroupEvent]. Those nested in leaf stay a
// part of it; those nested in a newborn one are newborn ones of their own.
func (p *Probe) TrackNewCgroups(leaf uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level == 0 {
		return errors.New("watch newborn cgroups: Check has not found out where the own one is")
	}
	p.newCgroupsAfter = leaf
	return p.configure()
}

// TrackEntered puts a cgroup that is older than the leaf of [Probe.TrackNewCgroups] in scope as soon as a task comes into it from
// elsewhere. Of each such task a [CgroupEvent] tells. It does nothing where [Probe.EntriesUnreported] says why not.
func (p *Probe) TrackEntered(cgroup uint64) error {
	if err := p.objects.OlderCgroups.Update(cgroup, uint64(0), ebpf.UpdateNoExist); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("watch who comes into cgroup %d: %w", cgroup, err)
	}
	return nil
}

// Outside says why nothing tells of tasks that come into cgroups that are older than the recording; "" where it is told.
func (p *Probe) EntriesUnreported() string { return p.entriesUnreported }

// Track puts a cgroup that is older than the leaf of [Probe.TrackNewCgroups] in scope, as if it were born now.
func (p *Probe) Track(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_TRACKED); err != nil {
		return fmt.Errorf("adopt cgroup %d: %w", cgroup, err)
	}
	return nil
}

// Ignore takes a cgroup out of scope for good: user space has found that it belongs to nobody. What was recorded of it
// before is still delivered. It need not have been adopted yet.
func (p *Probe) Ignore(cgroup uint64) error {
	if err := p.setState(cgroup, bpf.RecordScopeStateSCOPE_IGNORED); err != nil {
		return fmt.Errorf("disregard cgroup %d: %w", cgroup, err)
	}
	return nil
}

// setState keeps what the kernel knows of a cgroup that is in scope already.
func (p *Probe) setState(cgroup uint64, state bpf.RecordScopeState) error {
	var s bpf.RecordScope
	if err := p.objects.Scopes.Lookup(cgroup, &s); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	s.State = uint32(state)
	return p.objects.Scopes.Update(cgroup, s, ebpf.UpdateAny)
}
