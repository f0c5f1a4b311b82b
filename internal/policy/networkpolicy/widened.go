package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Widened returns the ports that an update with these flows opens to anyone, in place of callers that the committed
// policies or the flows name, sorted by flow. It leaves out ports that the committed policies already open to anyone.
func (d Dialect) Widened(committed []*networkingv1.NetworkPolicy, flows []flow.Flow) []policy.Widened {
	d.Scope = d.Normalized().Indexed()
	return policy.WidenedRules(d.Scope, d.BySubject(d.allByAddress(d.Required(flows))), d.inexpressible,
		func(w policy.Workload, f flow.Flow) ([]string, bool) {
			isolated, _ := isolates(committed, w, policy.Ingress)
			if isolated && d.compile(committed, w, policy.Ingress).verdict(f).Outcome == policy.Allowed {
				return nil, true
			}
			var callers []string
			for _, v := range d.applicablePolicies(committed, w, policy.Ingress) {
				for _, r := range v.rules {
					for peer, port := range r.pairs() {
						if peer != nil && v.matchPort(port, f) == policy.PortMatches {
							callers = append(callers, describePeer(policy.Ingress, peer))
						}
					}
				}
			}
			return callers, false
		}, func(w policy.Workload, f flow.Flow) string {
			return describePeers(policy.Ingress, d.permissionOf(w, policy.Ingress, f).peer.list())
		})
}
