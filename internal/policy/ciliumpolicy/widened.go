package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Widened implements [policy.Dialect].
func (c Dialect) Widened(committed Policies, flows []flow.Flow) []policy.Widened {
	c = Dialect{c.Scope.Normalized().Indexed()}
	return policy.WidenedRules(c.Scope, c.BySubject(withoutRequests(c.allByAddress(c.Required(flows)))), c.inexpressible,
		func(w policy.Workload, f flow.Flow) ([]string, bool) {
			isolated, _ := isolates(committed, w, policy.Ingress)
			if isolated && c.compile(committed, w, policy.Ingress).verdict(f).Outcome == policy.Allowed {
				return nil, true
			}
			var callers []string
			for _, v := range c.applicablePolicies(committed, w, policy.Ingress) {
				for _, r := range v.rules {
					for peer, port := range r.pairs() {
						if a, b := r.pair(peer, port); peer >= 0 && v.matchPort(b, f) == policy.PortMatches {
							callers = append(callers, describePeer(policy.Ingress, a))
						}
					}
				}
			}
			return callers, false
		}, func(w policy.Workload, f flow.Flow) string {
			o := edit{subject: w}.normalPermission(c.permissionOf(policy.Ingress, f))
			return describePeers(policy.Ingress, o.peer.rule())
		})
}
