package policy

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Widened is a port of a subject that an update opens to anyone, though it was, or could be, open to named callers
// alone.
type Widened struct {
	Flow    flow.Flow // by anyone
	Callers []string  // "pods app=cart", sorted
}

// Widened returns what an update with these flows opens to anyone in place of callers that the committed policies or
// the flows name, sorted by the flows. What the committed policies open to anyone already is not in it.
func (s Scope) Widened(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []Widened {
	s = s.normal().indexed()
	return widened(s, s.allByAddress(Required(flows)), s.inexpressible, func(w Workload, f flow.Flow) ([]string, bool) {
		if isolated, _ := isolates(committed, w, ingress); isolated && s.compile(committed, w, ingress).verdict(f).Outcome == Allowed {
			return nil, true
		}
		var callers []string
		for _, v := range s.views(committed, w, ingress) {
			for _, r := range v.rules {
				for peer, port := range r.pairs() {
					if peer != nil && v.fitPort(port, f) == portFits {
						callers = append(callers, describePeer(ingress, peer))
					}
				}
			}
		}
		return callers, false
	}, func(w Workload, f flow.Flow) string {
		return describePeers(ingress, s.openingOf(w, ingress, f).peer.list())
	})
}

// Widened is [Scope.Widened].
func (c Cilium) Widened(committed ciliumPolicies, flows []flow.Flow) []Widened {
	c = Cilium{c.Scope.normal().indexed()}
	return widened(c.Scope, c.allByAddress(c.Required(flows)), c.inexpressible, func(w Workload, f flow.Flow) ([]string, bool) {
		if isolated, _ := ciliumIsolates(committed, w, ingress); isolated && c.compile(committed, w, ingress).verdict(f).Outcome == Allowed {
			return nil, true
		}
		var callers []string
		for _, v := range c.views(committed, w, ingress) {
			for _, r := range v.rules {
				for peer, port := range r.pairs() {
					if a, b := r.pair(peer, port); peer >= 0 && v.fitPort(b, f) == portFits {
						callers = append(callers, describeCiliumPeer(ingress, a))
					}
				}
			}
		}
		return callers, false
	}, func(w Workload, f flow.Flow) string {
		o := ciliumEdit{subject: w}.normalOpening(c.openingOf(ingress, f))
		return describeCiliumPeers(ingress, o.peer.rule())
	})
}

// widened is Widened for either dialect. allowed returns the callers that the committed policies name at a flow's
// port, or true where they let anyone call there; name is what a policy calls the source of a flow.
func widened(s Scope, flows []flow.Flow, inexpressible func(direction, flow.Flow) string,
	allowed func(Workload, flow.Flow) ([]string, bool), name func(Workload, flow.Flow) string) []Widened {
	type call struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     uint16
	}
	callOf := func(f flow.Flow) call { return call{f.Destination.Identity(), f.Protocol, f.Port} }
	var all []Widened
	for _, subject := range s.Subjects {
		calls := slices.DeleteFunc(s.of(subject.Workload, ingress, flows), func(f flow.Flow) bool {
			return !subject.Whole || !f.Protocol.HasPorts() || inexpressible(ingress, f) != ""
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
