package probe

import (
	"net/netip"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// PolicyID identifies the rules of one workload in the kernel. It is never 0.
type PolicyID uint32

// Rules are what a policy allows. Everything else is refused.
type Rules struct {
	Addresses map[netip.Prefix][]enforce.PortRange // the longest prefix that contains an address decides alone
	Names     []enforce.Name
}

// EnableEnforcement replaces the attached programs by those that refuse. It changes nothing for recordings without a
// policy. Errors: [ErrNotSupported].
func (p *Probe) EnableEnforcement() error { panic("in work") }

// NewPolicy writes rules into the kernel. They have no effect before Enforce.
func (p *Probe) NewPolicy(r Rules) (PolicyID, error) { panic("in work") }

// AddRules adds to the rules of a policy: names, and the ports of addresses.
func (p *Probe) AddRules(id PolicyID, r Rules) error { panic("in work") }

// RemovePolicy removes a policy and ends its effect.
func (p *Probe) RemovePolicy(id PolicyID) error { panic("in work") }

// Enforce makes the kernel refuse what a policy does not allow to the tasks of a recording in a watched cgroup.
// Recording 0 stands for tasks whose recording is not known.
func (p *Probe) Enforce(cgroup uint64, recording goroutine.ID, id PolicyID) error { panic("in work") }

// EnforceBelow does the same for all cgroups below one that has the given level in the tree, as the engine makes one for
// a container. All such parents have the same level.
func (p *Probe) EnforceBelow(parent uint64, level int, id PolicyID) error { panic("in work") }

// Refused returns how many connections or packets of a flow the kernel refused.
func (p *Probe) Refused(k Key) (uint64, error) { panic("in work") }

// RefusedQuestions returns how many DNS questions for a name the kernel refused to a recording. hash is that of
// [dns.Hash].
func (p *Probe) RefusedQuestions(cgroup uint64, recording goroutine.ID, hash uint64) (uint64, error) {
	panic("in work")
}
