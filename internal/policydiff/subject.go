package policydiff

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// subjectsOf returns selectors of all pods that a policy selects.
func subjectsOf(p golden.Policy) []selector {
	if p, is := p.(*networkingv1.NetworkPolicy); is {
		return selectorsOf(&p.Spec.PodSelector, sameKey)
	}
	var all []selector
	for _, part := range cilium.Parts(p.(*golden.CiliumNetworkPolicy)) {
		for _, s := range selectorsOf(&part.Spec.EndpointSelector, plainKey) {
			own, _ := s.split()
			all = append(all, own)
		}
	}
	return all
}

// dialectOf returns the dialect of a kind for a scope.
func dialectOf(kind golden.Dialect, s policy.Scope) policy.Dialect[golden.Policy] {
	if kind == golden.Cilium {
		return policy.As[golden.Policy](ciliumpolicy.Dialect{Scope: s})
	}
	return policy.As[golden.Policy](networkpolicy.Dialect{Scope: s})
}

// probe is a destination that no peer of a rule names exactly, so that verdicts depend on more than peers: a rule may
// stand for the cluster's DNS or for the API server.
type probe struct {
	name     string
	endpoint flow.Endpoint
	protocol flow.Protocol
	port     uint16
}

var probes = []probe{
	{"the cluster's DNS", flow.ClusterResolver, flow.UDP, policy.ResolverPort},
	{"the cluster's DNS", flow.ClusterResolver, flow.TCP, policy.ResolverPort},
	{"the API server", flow.ClusterAPIServer, flow.TCP, policy.APIServicePort},
	{"the API server", flow.ClusterAPIServer, flow.TCP, policy.APIServerPort},
}

// addProbes adds the first probe whose verdict changes although no change of egress says so.
func (s *Subject) addProbes(before, after []golden.Policy) {
	w := policy.Workload{Name: "subject", Namespace: s.Namespace, Labels: s.selector.labels()}
	if len(w.Labels) == 0 {
		w.Labels = map[string]string{"netzero.dev/none": ""} // or the labels would follow from the name
	}
	dialect := dialectOf(s.Dialect, policy.Scope{Subjects: []policy.Subject{{Workload: w}}})
	source := flow.Endpoint{Kind: flow.Workload, Name: w.Name, Namespace: w.Namespace}
	was, is := dialect.Evaluator(before), dialect.Evaluator(after)
	for _, p := range probes {
		f := flow.Flow{Source: source, Destination: p.endpoint, Protocol: p.protocol, Port: p.port}
		old, got := was(f).Outcome == policy.Denied, is(f).Outcome == policy.Denied
		reported := func(c Change) bool { return c.Direction == policy.Egress && c.More == old }
		if old == got || slices.ContainsFunc(s.Changes, reported) {
			continue
		}
		open := onePort(f.Protocol, f.Port).String()
		change := Change{Kind: reach, More: old, Peer: p.name, Ports: open}
		change.say("%s "+word(old, "may now", "may no longer")+" reach %s on "+open, s.Name, p.name)
		s.add(change)
	}
}
