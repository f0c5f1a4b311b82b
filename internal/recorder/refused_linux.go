package recorder

import (
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// refused is what the kernel has refused so far.
type refused struct {
	flows   map[probe.Key]uint64 // number of connections or packets
	lookups map[probe.RefusedQuestion]uint64
}

func (r *Recorder) readRefused() (all refused, err error) {
	if all.flows, err = r.session.Probe.Refused(); err != nil {
		return refused{}, err
	}
	all.lookups, err = r.session.Probe.RefusedQuestions()
	return all, err
}

// count adds to an observation how many of its connections were refused. Those to a name that a client sent were not.
func (r refused) count(o *observation) {
	if len(o.sentNames) == 0 {
		o.flow.Refused = min(o.flow.Count, o.flow.Refused+r.flows[o.event.Key])
	}
}

// isRefusedLookup reports whether the kernel refused a question for a name.
func (s *snapshot) isRefusedLookup(k lookupKey) bool {
	hash := dns.Hash(k.name)
	for q := range s.refusedLookups {
		if q.Cgroup == k.cgroup && q.Hash == hash && s.includes(q.Recording) {
			return true
		}
	}
	return false
}
