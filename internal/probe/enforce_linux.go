package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// PolicyID identifies the rules of one workload in the kernel. It is never 0.
type PolicyID uint32

// Rules are what a policy allows. Everything else is refused.
type Rules struct {
	// Addresses are ranges of addresses. The longest prefix that contains an address decides alone. An IPv4 prefix is not
	// mapped to IPv6.
	Addresses map[netip.Prefix][]enforce.PortRange
	Names     []enforce.Name
}

// enforcement is what refuses flows; the zero value refuses nothing.
type enforcement struct {
	programs bpf.EnforcePrograms
	maps     bpf.EnforceMaps
	enabled  bool

	last     PolicyID
	policies map[PolicyID]*policy
	declared map[uint64]int // number of policies with an entry for names
	level    int            // of the cgroups in enforced_parents
}

// policy holds what has to be removed from the kernel with a policy.
type policy struct {
	addresses map[bpf.EnforceAllowedAddressKey]bool
	names     map[uint64]bool
	parents   []uint64
}

// errNotEnabled is a mistake of the caller.
var errNotEnabled = errors.New("enforcement is not enabled")

// EnableEnforcement replaces attached programs by those that refuse. They refuse nothing without a policy. Errors:
// *[PermissionError], [ErrNotSupported].
func (p *Probe) EnableEnforcement() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.enforcement
	if e.enabled {
		return nil
	}
	if err := p.loadEnforcement(); err != nil {
		return fmt.Errorf("load enforcing programs: %w", classify(err))
	}
	for attach, program := range map[ebpf.AttachType]*ebpf.Program{
		ebpf.AttachCGroupInet4Connect: e.programs.Connect4,
		ebpf.AttachCGroupInet6Connect: e.programs.Connect6,
		ebpf.AttachCGroupInetEgress:   e.programs.Egress,
		ebpf.AttachCGroupInetIngress:  e.programs.Ingress,
	} {
		if err := p.hooks[attach].Update(program); err != nil {
			return fmt.Errorf("replace eBPF program %s: %w", attach, classify(err))
		}
	}
	e.policies, e.declared = make(map[PolicyID]*policy), make(map[uint64]int)
	e.enabled = true
	return nil
}

// loadEnforcement loads the programs that refuse. They share the maps of those that record.
func (p *Probe) loadEnforcement() error {
	spec, err := enforcingSpec(p.sizes, p.layout)
	if err != nil {
		return err
	}
	loaded, err := loadCollection(spec, p.shared)
	if err != nil {
		return err
	}
	defer loaded.Close() // what is not assigned
	e := &p.enforcement
	for name, program := range map[string]**ebpf.Program{
		bpf.EnforceProgConnect4: &e.programs.Connect4, bpf.EnforceProgConnect6: &e.programs.Connect6,
		bpf.EnforceProgEgress: &e.programs.Egress, bpf.EnforceProgIngress: &e.programs.Ingress,
	} {
		*program = loaded.DetachProgram(name)
	}
	for name, m := range map[string]**ebpf.Map{
		bpf.EnforceMapEnforced: &e.maps.Enforced, bpf.EnforceMapEnforcedParents: &e.maps.EnforcedParents,
		bpf.EnforceMapEnforcedLevel: &e.maps.EnforcedLevel, bpf.EnforceMapAllowedAddresses: &e.maps.AllowedAddresses,
		bpf.EnforceMapAllowedNames: &e.maps.AllowedNames, bpf.EnforceMapRefused: &e.maps.Refused,
		bpf.EnforceMapRefusedQuestions: &e.maps.RefusedQuestions,
	} {
		*m = loaded.DetachMap(name)
	}
	return nil
}

// enforcingSpec returns the collection of the programs that refuse.
func enforcingSpec(sizes Sizes, layout layout) (*ebpf.CollectionSpec, error) {
	read, err := bpf.LoadEnforce()
	if err != nil {
		return nil, err
	}
	for name := range read.Programs {
		switch name {
		case bpf.EnforceProgConnect4, bpf.EnforceProgConnect6, bpf.EnforceProgEgress, bpf.EnforceProgIngress:
		default:
			delete(read.Programs, name)
		}
	}
	return read, configureSpec(read, sizes, layout)
}

// close unloads the programs. Those that are attached go with their links.
func (e *enforcement) close() error { return errors.Join(e.programs.Close(), e.maps.Close()) }

// NewPolicy writes rules into the kernel. They have no effect before [Probe.Enforce] or [Probe.EnforceBelow].
func (p *Probe) NewPolicy(r Rules) (PolicyID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.enforcement
	if !e.enabled {
		return 0, errNotEnabled
	}
	e.last++
	e.policies[e.last] = &policy{addresses: make(map[bpf.EnforceAllowedAddressKey]bool), names: make(map[uint64]bool)}
	if err := e.add(e.last, r); err != nil {
		return 0, errors.Join(err, e.remove(e.last))
	}
	return e.last, nil
}

// AddRules adds rules to a policy. They replace the ports of the same prefixes and names.
func (p *Probe) AddRules(id PolicyID, r Rules) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.enforcement.policies[id] == nil {
		return errNotEnabled
	}
	return p.enforcement.add(id, r)
}

func (e *enforcement) add(id PolicyID, r Rules) error {
	of := e.policies[id]
	for prefix, ports := range r.Addresses {
		value, err := portsTo(ports)
		if err != nil {
			return fmt.Errorf("enforce %s: %w", prefix, err)
		}
		key := prefixTo(id, prefix)
		if err := e.maps.AllowedAddresses.Update(key, value, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("enforce %s: %w", prefix, err)
		}
		of.addresses[key] = true
	}
	for _, name := range r.Names {
		if err := e.addName(id, of, name); err != nil {
			return fmt.Errorf("enforce %s: %w", name.Host, err)
		}
	}
	return nil
}

// addName adds an entry for names. Answers give it to an address only if policy 0 has it too.
func (e *enforcement) addName(id PolicyID, of *policy, name enforce.Name) error {
	ports, err := portsTo(name.Ports)
	if err != nil {
		return err
	}
	entry := nameEntry(name)
	if !of.names[entry] && e.declared[entry] == 0 {
		err := e.maps.AllowedNames.Update(bpf.EnforceAllowedNameKey{Name: entry}, bpf.EnforceAllowedPorts{}, ebpf.UpdateAny)
		if err != nil {
			return err
		}
	}
	if !of.names[entry] {
		of.names[entry] = true
		e.declared[entry]++
	}
	return e.maps.AllowedNames.Update(bpf.EnforceAllowedNameKey{Name: entry, Policy: uint32(id)}, ports, ebpf.UpdateAny)
}

// nameEntry is name_entry in enforce.h.
func nameEntry(name enforce.Name) uint64 {
	match := bpf.RecordNameMatchMATCH_EXACT
	switch name.Match {
	case enforce.OneLabel:
		match = bpf.RecordNameMatchMATCH_ONE_LABEL
	case enforce.AnyLabels:
		match = bpf.RecordNameMatchMATCH_ANY_LABELS
	}
	return dns.Hash(name.Host)<<2 | uint64(match)
}

func prefixTo(id PolicyID, prefix netip.Prefix) bpf.EnforceAllowedAddressKey {
	key := bpf.EnforceAllowedAddressKey{Policy: uint32(id), Family: 6, Addr: prefix.Masked().Addr().As16()}
	bits := prefix.Bits()
	if prefix.Addr().Is4() {
		key.Family, bits = 4, bits+96
	}
	key.PrefixLength = uint32(8*(unsafe.Sizeof(key.Policy)+unsafe.Sizeof(key.Family))) + uint32(bits)
	return key
}

func portsTo(ranges []enforce.PortRange) (bpf.EnforceAllowedPorts, error) {
	var ports bpf.EnforceAllowedPorts
	if len(ranges) > len(ports.Ranges) {
		return ports, fmt.Errorf("%d ranges of ports: at most %d can be enforced", len(ranges), len(ports.Ranges))
	}
	ports.Length = uint32(len(ranges))
	for i, r := range ranges {
		to := &ports.Ranges[i]
		to.First, to.Last, to.Protocol = r.First, r.Last, uint8(r.Protocol)
	}
	return ports, nil
}

// RemovePolicy removes a policy and ends its effect.
func (p *Probe) RemovePolicy(id PolicyID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.enforcement.policies[id] == nil {
		return nil
	}
	return p.enforcement.remove(id)
}

func (e *enforcement) remove(id PolicyID) error {
	of := e.policies[id]
	delete(e.policies, id)
	var errs []error
	drop := func(m *ebpf.Map, key any) {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	// First its effect, so that nothing is refused because rules are missing.
	for _, parent := range of.parents {
		drop(e.maps.EnforcedParents, parent)
	}
	var keys []bpf.EnforceEnforcedKey // the kernel adds those of scopes below a parent
	errs = append(errs, readMap(e.maps.Enforced, func(key bpf.EnforceEnforcedKey, policy uint32) {
		if policy == uint32(id) {
			keys = append(keys, key)
		}
	}))
	for _, key := range keys {
		drop(e.maps.Enforced, key)
	}
	for key := range of.addresses {
		drop(e.maps.AllowedAddresses, key)
	}
	for entry := range of.names {
		drop(e.maps.AllowedNames, bpf.EnforceAllowedNameKey{Name: entry, Policy: uint32(id)})
		if e.declared[entry]--; e.declared[entry] == 0 {
			delete(e.declared, entry)
			drop(e.maps.AllowedNames, bpf.EnforceAllowedNameKey{Name: entry})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove enforced policy: %w", err)
	}
	return nil
}

// Enforce makes the kernel refuse what a policy does not allow to the tasks of a recording in a scope. Recording 0
// stands for tasks whose recording is not known. A policy that the scope and the recording had before ends.
func (p *Probe) Enforce(cgroup uint64, recording goroutine.ID, id PolicyID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.enforcement.policies[id] == nil {
		return errNotEnabled
	}
	key := bpf.EnforceEnforcedKey{Cgroup: cgroup, Recording: uint64(recording)}
	if err := p.enforcement.maps.Enforced.Update(key, uint32(id), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("enforce policy: %w", err)
	}
	return nil
}

// EnforceBelow does the same for all cgroups below one that has the given level in the tree: the engine makes one for a
// container there. All such parents have the same level.
func (p *Probe) EnforceBelow(parent uint64, level int, id PolicyID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &p.enforcement
	of := e.policies[id]
	switch {
	case of == nil:
		return errNotEnabled
	case e.level != 0 && e.level != level:
		return fmt.Errorf("enforce policy: parents of containers are at the levels %d and %d", e.level, level)
	}
	err := e.maps.EnforcedParents.Update(parent, uint32(id), ebpf.UpdateAny)
	if err == nil {
		err = e.maps.EnforcedLevel.Update(uint32(0), uint32(level), ebpf.UpdateAny)
	}
	if err != nil {
		return fmt.Errorf("enforce policy: %w", err)
	}
	e.level = level
	of.parents = append(of.parents, parent)
	return nil
}

// Refused returns how many connections or packets of a flow the kernel has refused.
func (p *Probe) Refused(k Key) (uint64, error) {
	return countIn(p.enforcement.maps.Refused, keyTo(k))
}

// RefusedQuestions returns how many DNS questions for a name the kernel has refused to a recording. hash is that of
// [dns.Hash].
func (p *Probe) RefusedQuestions(cgroup uint64, recording goroutine.ID, hash uint64) (uint64, error) {
	return countIn(p.enforcement.maps.RefusedQuestions, bpf.EnforceRefusedQuestionKey{
		Cgroup: cgroup, Recording: uint64(recording), Hash: hash,
	})
}

// countIn returns the count of a key in a map, which is nil before anything is enforced.
func countIn(m *ebpf.Map, key any) (n uint64, err error) {
	if m == nil {
		return 0, nil
	}
	err = m.Lookup(key, &n)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, fmt.Errorf("read what was refused: %w", err)
	}
	return n, nil
}
