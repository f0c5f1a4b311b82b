package placement

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ephemeralPorts returns [Placement].EphemeralPorts. It is called last, because it adds to notices and peers.
func (p *placer) ephemeralPorts(recorded []recording.EphemeralPort) []recording.EphemeralPort {
	var found []recording.EphemeralPort
	for _, e := range recorded {
		if to := e.Flow.Destination; to.Kind == flow.Workload {
			m := p.find(to.Identity(), false)
			if m != nil && (len(m.Selector) == 0 || m.Serves(e.Flow.Port, e.Flow.Protocol)) {
				continue
			}
		}
		asRecorded := e.Flow
		e.Flow.Source, e.Flow.Destination = p.workload(e.Flow.Source), p.workload(e.Flow.Destination)
		hasPolicy := p.isSubject(e.Flow.Source) || p.isSubject(e.Flow.Destination)
		if hasPolicy && !p.hasRange(asRecorded) && !p.hasRange(e.Flow) {
			found = append(found, e)
		}
	}
	return found
}

// hasRange reports whether the option Ports names the port of a flow.
func (p *placer) hasRange(f flow.Flow) bool {
	return slices.ContainsFunc(p.scope.Ranges, func(r policy.PortRange) bool { return r.Has(f) })
}

// isSubject reports whether a workload gets a policy.
func (p *placer) isSubject(e flow.Endpoint) bool {
	is := func(s policy.Subject) bool {
		return s.Name == e.Name && (s.Namespace == e.Namespace || e.Namespace == "")
	}
	return e.Kind == flow.Workload && !e.Node && slices.ContainsFunc(p.scope.Subjects, is)
}
