package policy

import (
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Widened is a port of a subject that an update opens to any caller, although it was, or could be, limited to named
// callers.
type Widened struct {
	Flow    flow.Flow // the flow from any caller
	Callers []string  // "pods app=cart", sorted
}

// WidenedRules implements [Dialect].Widened. allowed returns the callers that the committed policies name at a flow's
// port, or true if they allow any caller there. name returns how a policy names the source of a flow.
func WidenedRules(s Scope, flows SubjectFlows, inexpressible func(Direction, flow.Flow) string,
	allowed func(Workload, flow.Flow) ([]string, bool), name func(Workload, flow.Flow) string) []Widened {
	type call struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     uint16
	}
	callOf := func(f flow.Flow) call { return call{f.Destination.Identity(), f.Protocol, f.Port} }
	var all []Widened
	for _, subject := range s.Subjects {
		calls := slices.DeleteFunc(flows.Of(subject.Workload, Ingress), func(f flow.Flow) bool {
			return !subject.AllTraffic || !f.Protocol.HasPorts() || inexpressible(Ingress, f) != ""
		})
		slices.SortStableFunc(calls, flow.Flow.Compare)
		done := make(map[call]bool)
		for _, f := range calls {
			if f.Source.Kind != flow.Anyone || done[callOf(f)] {
				continue
			}
			done[callOf(f)] = true
			callers, open := allowed(subject.Workload, f)
			if open {
				continue
			}
			for _, g := range calls {
				if g.Source.Kind != flow.Anyone && callOf(g) == callOf(f) {
					callers = append(callers, name(subject.Workload, g))
				}
			}
			slices.Sort(callers)
			if callers = slices.Compact(callers); len(callers) > 0 {
				all = append(all, Widened{f, callers})
			}
		}
	}
	return all
}
