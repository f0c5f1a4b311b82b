package recorder

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
)

// refusals is the part of package probe that counts what the kernel refused.
type refusals interface {
	Refused(probe.Key) (uint64, error)
	RefusedQuestions(cgroup uint64, recording goroutine.ID, hash uint64) (uint64, error)
}

// countRefused adds how often the kernel refused each observation and each lookup.
func (s *snapshot) countRefused(kernel refusals) error {
	for i := range s.observed {
		o := &s.observed[i]
		refused, err := kernel.Refused(o.event.Key)
		if err != nil {
			return fmt.Errorf("count refused flows: %w", err)
		}
		if len(o.sentNames) == 0 { // a refused client sends no name
			o.flow.Refused = min(refused, o.flow.Count)
		}
	}
	for k, l := range s.lookups {
		for recording := range l.recordings {
			refused, err := kernel.RefusedQuestions(k.cgroup, recording, dns.Hash(k.name))
			if err != nil {
				return fmt.Errorf("count refused lookups: %w", err)
			}
			l.refused += refused
		}
		s.lookups[k] = l
	}
	return nil
}
