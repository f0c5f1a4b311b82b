package networkpolicy

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// gatesNames reports whether a policy opens the internet only to the names that it lists. The list may be empty.
func gatesNames(p metav1.Object) bool {
	_, annotated := p.GetAnnotations()[policy.NamesAnnotation]
	return annotated
}

// matchLookup compares a lookup with one pair of a rule. It matches if a flow to that name would match at a port of
// the rule.
func (v applicable) matchLookup(
	peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow,
) policy.Match {
	if policy.IsAPIServer(f.Destination) {
		f.Lookup, f.Port, f.Protocol = false, policy.APIServicePort, flow.TCP // the port of the API server's Service
		return v.match(peer, port, f)
	}
	if peer == nil && v.reserves(port, f) {
		return policy.Match{Peer: policy.Reserved, Port: policy.PortMatches}
	}
	if !isInternet(peer) || f.Destination.Kind != flow.External || !v.annotated {
		return policy.Match{Peer: v.matchPeer(peer, f), Port: policy.PortMatches}
	}
	nearest := policy.Match{Peer: policy.NameNotListed, Port: policy.PortMatches}
	for _, n := range v.portsOf(f) {
		g := f
		g.Lookup, g.Port, g.Protocol = false, n.Port, n.Protocol
		if match := (policy.Match{Peer: policy.PeerMatches, Port: v.matchPort(port, g)}); match.Compare(nearest) > 0 {
			nearest = match
		}
	}
	return nearest
}

// portsOf returns the entries with a port that match the looked-up host.
func (v applicable) portsOf(f flow.Flow) []policy.AllowedName {
	hosts := v.scope.LookupHosts(v.namespace, f)
	isFor := func(n policy.AllowedName) bool { return !n.IsLookup() && n.MatchesLookup(f, hosts) }
	var found []policy.AllowedName
	if v.listed != nil {
		for i := range v.listed.ForHosts(hosts) {
			if n := v.listed.All[i]; isFor(n) {
				found = append(found, n)
			}
		}
		return found
	}
	for _, n := range v.names {
		if isFor(n) {
			found = append(found, n)
		}
	}
	return found
}

func shallow(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy { q := *p; return &q }

func (d Dialect) unmetLookups(
	policies []*networkingv1.NetworkPolicy, subject policy.Workload, flows policy.SubjectFlows,
) []flow.Flow {
	lookups := policy.LookupsOf(flows.Of(subject, policy.Egress))
	if len(lookups) == 0 {
		return nil
	}
	stripped := policy.WithoutLookups(policies, shallow)
	return policy.UnmetLookups(lookups, d.compile(stripped, subject, policy.Egress).verdict)
}

// unusedLookups returns the entries of a policy for lookups only that no flow needs.
func (d Dialect) unusedLookups(
	policies []*networkingv1.NetworkPolicy, p *networkingv1.NetworkPolicy, flows policy.SubjectFlows,
) map[string]bool {
	unused := make(map[string]bool)
	for _, entry := range policy.UnusedLookups(
		d.Scope, p, d.isolatedBy(p, policy.Egress),
		func(w policy.Workload) []flow.Flow { return d.unmetLookups(policies, w, flows) },
	) {
		unused[entry] = true
	}
	return unused
}
