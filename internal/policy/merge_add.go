package policy

import (
	"cmp"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/flow"
)

// add makes the policies allow every flow.
func (m *merging) add() {
	if isolated, _ := Isolated(m.policies, m.subject); isolated && len(m.missing(m.flows)) == 0 {
		return
	}
	p := m.isolating()
	needed := slices.Concat(m.flows, m.addNames(p))
	for _, f := range m.missing(needed) {
		if m.denied(f) { // still: a port may do for two flows
			m.addPort(p, openingOf(m.subject, f), f)
		}
	}
	m.addRules(p, m.missing(needed))
}

// missing returns those of the flows that a policy could allow, and none does.
func (m *merging) missing(flows []flow.Flow) []flow.Flow {
	var missing []flow.Flow
	for _, f := range flows {
		if m.denied(f) {
			missing = append(missing, f)
		}
	}
	return missing
}

func (m *merging) denied(f flow.Flow) bool {
	return Evaluate(m.policies, m.subject, f).Outcome == Denied
}

// addNames lists the names of the flows that are missing. It returns a flow more for each that is public: one to
// nowhere in particular, so that a rule for the address that the name has today does not do.
func (m *merging) addNames(p *networkingv1.NetworkPolicy) []flow.Flow {
	var nowhere []flow.Flow
	for {
		before := len(entriesOf(p, NamesAnnotation))
		for _, f := range m.missing(m.flows) {
			if f.Destination.Kind != flow.External || m.checksNoName(p) {
				continue
			}
			if v := views([]*networkingv1.NetworkPolicy{p}, m.subject)[0]; !slices.ContainsFunc(v.names, func(n allowedName) bool { return n.matches(f) }) {
				addEntry(p, NamesAnnotation, nameOf(f).String())
			}
			if flow.Public(f.Destination.Addr) {
				f.Destination.Addr = netip.Addr{}
				nowhere = append(nowhere, f)
			}
		}
		// The first entry makes the policy ask for the names of flows that it allowed until then.
		if len(entriesOf(p, NamesAnnotation)) == before {
			return nowhere
		}
	}
}

// checksNoName reports whether a policy opens the internet without NamesAnnotation, and flows need that, or may.
func (m *merging) checksNoName(p *networkingv1.NetworkPolicy) bool {
	v := views([]*networkingv1.NetworkPolicy{p}, m.subject)[0]
	for i, rule := range p.Spec.Egress {
		if v.annotated {
			return false
		}
		for j, used := range v.usage(i, m.flows).peers {
			if (used || m.partial) && isInternet(&rule.To[j]) {
				return true
			}
		}
	}
	return false
}

// addPort adds a port to the only rule for an opening's peer, if there is one that then allows the flow.
func (m *merging) addPort(p *networkingv1.NetworkPolicy, o opening, f flow.Flow) {
	var same []int
	for i := range p.Spec.Egress {
		if peer, ok := m.peerOfRule(&p.Spec.Egress[i]); ok && peer == o.peer {
			same = append(same, i)
		}
	}
	if len(same) != 1 || len(p.Spec.Egress[same[0]].Ports) == 0 { // no ports are all ports
		return
	}
	trial := p.DeepCopy()
	rule := &trial.Spec.Egress[same[0]]
	rule.Ports = insertBefore(rule.Ports, o.policyPort(), func(port networkingv1.NetworkPolicyPort) bool {
		if port.Port == nil || port.Port.Type == intstr.String {
			return false
		}
		return cmp.Or(cmp.Compare(port.Port.IntVal, int32(o.port)), cmp.Compare(portProtocol(&port), o.protocol)) > 0
	})
	if Evaluate([]*networkingv1.NetworkPolicy{trial}, m.subject, f).Outcome == Allowed {
		p.Spec.Egress = trial.Spec.Egress
		m.addMetadata(p, o)
	}
}

// addRules adds a rule for each peer of the flows, as Generate writes it.
func (m *merging) addRules(p *networkingv1.NetworkPolicy, flows []flow.Flow) {
	var openings []opening
	for _, f := range flows {
		o := openingOf(m.subject, f)
		openings = append(openings, o)
		m.addMetadata(p, o)
	}
	slices.SortFunc(openings, opening.compare)
	for _, rule := range rules(slices.Compact(openings)) {
		peer, _ := m.peerOfRule(&rule)
		p.Spec.Egress = insertBefore(p.Spec.Egress, rule, func(other networkingv1.NetworkPolicyEgressRule) bool {
			p, ok := m.peerOfRule(&other)
			return ok && p.Compare(peer) > 0
		})
	}
}

func (m *merging) addMetadata(p *networkingv1.NetworkPolicy, o opening) {
	if entry := o.metadataEntry(); entry != "" {
		addEntry(p, MetadataAnnotation, entry)
	}
}

// peerOfRule returns the peer, as peerOf does, for which Generate would write a rule's peers, or false. It takes an
// internet that excepts more, and lacks a half, for the internet, but none that excepts less.
func (m *merging) peerOfRule(rule *networkingv1.NetworkPolicyEgressRule) (flow.Endpoint, bool) {
	notPublic := func(peer networkingv1.NetworkPolicyPeer) bool { return !isInternet(&peer) || !isPublic(peer.IPBlock) }
	switch {
	case len(rule.To) == 0:
		return flow.Endpoint{}, false
	case !slices.ContainsFunc(rule.To, notPublic):
		return flow.Endpoint{Kind: flow.External}, true
	case len(rule.To) > 1:
		return flow.Endpoint{}, false
	}
	peer := rule.To[0]
	if block := peer.IPBlock; block != nil {
		prefix, err := netip.ParsePrefix(block.CIDR)
		return flow.Endpoint{Kind: flow.Address, Addr: prefix.Addr()}, err == nil && prefix.IsSingleIP() && len(block.Except) == 0
	}
	candidates := []flow.Endpoint{{Kind: flow.Resolver}}
	if peer.PodSelector != nil {
		pods := flow.Endpoint{Kind: flow.Workload, Name: peer.PodSelector.MatchLabels["app"]}
		if peer.NamespaceSelector != nil {
			pods.Namespace = peer.NamespaceSelector.MatchLabels[namespaceLabel]
		}
		candidates = append(candidates, pods)
	}
	for _, c := range candidates {
		if equality.Semantic.DeepEqual(to(c), rule.To) {
			return peerOf(m.subject, c), true
		}
	}
	return flow.Endpoint{}, false
}

// isPublic reports whether a half of the internet excepts all that the generated one does.
func isPublic(half *networkingv1.IPBlock) bool {
	prefix, err := netip.ParsePrefix(half.CIDR)
	if err != nil {
		return false
	}
	for _, private := range flow.NotPublic() {
		if private.Addr().Is4() == prefix.Addr().Is4() && !slices.ContainsFunc(half.Except, func(text string) bool {
			e, err := netip.ParsePrefix(text)
			return err == nil && e.Bits() <= private.Bits() && e.Contains(private.Addr())
		}) {
			return false
		}
	}
	return true
}
