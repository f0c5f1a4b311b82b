package golden

import (
	"cmp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

func normalCilium(p *cilium.NetworkPolicy) *cilium.NetworkPolicy {
	var specs []cilium.Spec
	for _, part := range cilium.Parts(p) {
		specs = append(specs, normalSpec(part.Spec))
	}
	p.Spec, p.Specs = cilium.Spec{}, set(specs)
	if len(p.Specs) == 1 { // equivalent to spec
		p.Spec, p.Specs = p.Specs[0], nil
	}
	return p
}

func normalSpec(s cilium.Spec) cilium.Spec {
	normalSelector(&s.EndpointSelector)
	s.Egress, s.EgressDeny = normalEgress(s.Egress), normalEgress(s.EgressDeny)
	s.Ingress, s.IngressDeny = normalIngress(s.Ingress), normalIngress(s.IngressDeny)
	return s
}

func normalEgress(rules []cilium.EgressRule) []cilium.EgressRule {
	for i := range rules {
		r := &rules[i]
		r.ToEndpoints = normalSelectors(r.ToEndpoints)
		r.ToFQDNs = normalNames(r.ToFQDNs)
		r.ToCIDR = set(r.ToCIDR)
		r.ToCIDRSet = normalCIDRs(r.ToCIDRSet)
		r.ToEntities = set(r.ToEntities)
		r.ToPorts = normalPortRules(r.ToPorts)
		r.ICMPs = normalICMPs(r.ICMPs)
	}
	return set(rules)
}

func normalIngress(rules []cilium.IngressRule) []cilium.IngressRule {
	for i := range rules {
		r := &rules[i]
		r.FromEndpoints = normalSelectors(r.FromEndpoints)
		r.FromCIDR = set(r.FromCIDR)
		r.FromCIDRSet = normalCIDRs(r.FromCIDRSet)
		r.FromEntities = set(r.FromEntities)
		r.ToPorts = normalPortRules(r.ToPorts)
		r.ICMPs = normalICMPs(r.ICMPs)
	}
	return set(rules)
}

func normalSelectors(selectors []metav1.LabelSelector) []metav1.LabelSelector {
	for i := range selectors {
		normalSelector(&selectors[i])
	}
	return set(selectors)
}

func normalNames(names []cilium.FQDN) []cilium.FQDN {
	for i := range names {
		names[i].MatchName = strings.ToLower(strings.TrimSuffix(names[i].MatchName, "."))
		names[i].MatchPattern = strings.ToLower(strings.TrimSuffix(names[i].MatchPattern, "."))
	}
	return set(names)
}

func normalCIDRs(rules []cilium.CIDRRule) []cilium.CIDRRule {
	for i := range rules {
		rules[i].Except = set(rules[i].Except)
	}
	return set(rules)
}

func normalPortRules(rules []cilium.PortRule) []cilium.PortRule {
	for i := range rules {
		for j := range rules[i].Ports {
			p := &rules[i].Ports[j]
			p.Protocol = cmp.Or(p.Protocol, cilium.Any)
			if n, isNumber := p.Number(); isNumber && int(p.EndPort) == n {
				p.EndPort = 0 // a range of one port
			}
		}
		rules[i].Ports = set(rules[i].Ports)
		if rules[i].Rules != nil {
			rules[i].Rules.DNS = normalNames(rules[i].Rules.DNS)
		}
	}
	return set(rules)
}

func normalICMPs(rules []cilium.ICMPRule) []cilium.ICMPRule {
	for i := range rules {
		for j := range rules[i].Fields {
			f := &rules[i].Fields[j]
			f.Family = cmp.Or(f.Family, cilium.IPv4)
		}
		rules[i].Fields = set(rules[i].Fields)
	}
	return set(rules)
}
