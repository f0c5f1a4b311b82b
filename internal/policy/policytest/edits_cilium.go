package policytest

import (
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// EditCilium returns CiliumNetworkPolicies with edits that a person may make to generated rules.
func (r Draw) EditCilium(policies []*cilium.NetworkPolicy) []*cilium.NetworkPolicy {
	policies = Clone(policies)
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), Pick(r, policy.Directions...)
		p := policies[i]
		rules := ciliumRulesOf(p, d)
		if len(rules) == 0 {
			continue
		}
		k := r.IntN(len(rules))
		rule := &rules[k]
		switch r.IntN(12) {
		case 0:
			slices.Reverse(rules)
		case 1:
			rule.ToPorts = nil
		case 2:
			if len(rule.ToPorts)+len(rule.ICMPs) > 0 {
				rule.ToEndpoints, rule.ToFQDNs, rule.ToCIDRSet, rule.ToEntities = nil, nil, nil, nil
			}
		case 3:
			rules = slices.Delete(rules, k, k+1)
		case 4:
			rules = append(rules, *rule)
		case 5:
			p.Spec.EndpointSelector = metav1.LabelSelector{}
		case 6:
			p.Name = "by-hand-" + strconv.Itoa(i)
		case 7:
			rules = append(rules, cilium.EgressRule{})
		case 8: // without the rule that lets Cilium read lookups
			for j := range rule.ToPorts {
				if rule.ToPorts[j].HasDNS() {
					rule.ToPorts[j].Rules = nil
				}
			}
		case 9:
			for j := range rule.ToPorts {
				if rule.ToPorts[j].HasDNS() {
					rule.ToPorts[j].Rules.DNS[0] = cilium.FQDN{MatchPattern: "*.unrelated.example"}
				}
			}
		case 10, 11:
			for j := range rule.ToPorts {
				if rule.ToPorts[j].HasHTTP() {
					rule.ToPorts[j].Rules.HTTP = r.editHTTP(rule.ToPorts[j].Rules.HTTP)
				}
			}
		}
		if len(rules) == 0 && d == policy.Egress {
			rules = []cilium.EgressRule{{}} // still denies what it does not allow
		}
		setCiliumRules(p, d, rules)
	}
	return policies
}

// editHTTP returns HTTP rules with an edit that a person may make: there is at least one.
func (r Draw) editHTTP(rules []cilium.HTTPRule) []cilium.HTTPRule {
	rules = slices.Clone(rules)
	i := r.IntN(len(rules))
	switch r.IntN(6) {
	case 0:
		rules[i].Method = Pick(r, "", "GET|POST", "P.*", "[A-Z-]+")
	case 1:
		rules[i].Path = Pick(r, "", "/.*", "/api/.*", `/api/v1/invoices/[0-9]+(\?.*)?`)
	case 2:
		if len(rules) > 1 {
			rules = slices.Delete(rules, i, i+1)
		}
	case 3:
		rules = append(rules, cilium.HTTPRule{Method: "GET", Path: Pick(r, "/by-hand", "/healthz"), Host: Pick(r, "", ".*")})
	case 4:
		rules = []cilium.HTTPRule{{}}
	case 5:
		slices.Reverse(rules)
	}
	return rules
}

// AddCilium returns CiliumNetworkPolicies with additional rules of the kinds that only people write.
func (r Draw) AddCilium(policies []*cilium.NetworkPolicy) []*cilium.NetworkPolicy {
	policies = Clone(policies)
	for _, p := range policies {
		for range r.IntN(4) {
			r.addCiliumRule(p, Pick(r, policy.Directions...))
		}
	}
	return policies
}

func (r Draw) addCiliumRule(p *cilium.NetworkPolicy, d policy.Direction) {
	allow := func(rule cilium.EgressRule) { setCiliumRules(p, d, append(ciliumRulesOf(p, d), rule)) }
	deny := func(rule cilium.EgressRule) {
		if d == policy.Egress {
			p.Spec.EgressDeny = append(p.Spec.EgressDeny, rule)
			return
		}
		p.Spec.IngressDeny = append(p.Spec.IngressDeny, toIngress(rule))
	}
	switch r.IntN(8) {
	case 0:
		allow(cilium.EgressRule{ToCIDR: []string{"203.0.113.0/24", "2001:db8::/64"}})
	case 1:
		deny(cilium.EgressRule{ToCIDR: []string{Pick(r, "203.0.113.9/32", "198.51.100.0/24")}})
	case 2:
		entity := Pick(r, cilium.World, cilium.Host, cilium.Cluster)
		deny(cilium.EgressRule{ToEntities: []string{entity}, ToPorts: r.ciliumPorts()})
	case 3:
		deny(cilium.EgressRule{})
	case 4:
		if p.Spec.EnableDefaultDeny == nil {
			p.Spec.EnableDefaultDeny = &cilium.DefaultDeny{}
		}
		off := false
		p.Spec.EnableDefaultDeny.Egress = Pick(r, &off, nil)
		p.Spec.EnableDefaultDeny.Ingress = Pick(r, &off, nil)
	case 5:
		allow(cilium.EgressRule{
			ToEndpoints: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"mail", "cache"}},
			}}},
			ToPorts: r.ciliumPorts(),
		})
	case 6:
		echo := Pick(r,
			cilium.ICMPField{Type: intstr.FromString("EchoRequest")},
			cilium.ICMPField{Family: cilium.IPv4, Type: intstr.FromInt32(cilium.Echo)},
		)
		allow(cilium.EgressRule{
			ToEntities: []string{cilium.All},
			ICMPs:      []cilium.ICMPRule{{Fields: []cilium.ICMPField{echo}}},
		})
	case 7:
		deny(cilium.EgressRule{
			ToEndpoints: []metav1.LabelSelector{{MatchLabels: map[string]string{"k8s:app": "cache"}}},
			ToPorts:     r.ciliumPorts(),
		})
	}
}

// ciliumPorts draws ports of a rule, or none, which means every port.
func (r Draw) ciliumPorts() []cilium.PortRule {
	ports := Pick(r,
		nil,
		[]cilium.Port{{Port: "443", Protocol: "TCP"}},
		[]cilium.Port{{Port: "80", EndPort: 5432}},
		[]cilium.Port{{Port: "0", Protocol: "UDP"}, {Port: "pgsql", Protocol: "TCP"}},
	)
	if ports == nil {
		return nil
	}
	return []cilium.PortRule{{Ports: ports}}
}

// ciliumRulesOf returns the rules that allow flows in a direction, those for ingress as rules for egress.
func ciliumRulesOf(p *cilium.NetworkPolicy, d policy.Direction) []cilium.EgressRule {
	if d == policy.Egress {
		return p.Spec.Egress
	}
	var rules []cilium.EgressRule
	for _, rule := range p.Spec.Ingress {
		rules = append(rules, cilium.EgressRule{
			ToEndpoints: rule.FromEndpoints, ToCIDR: rule.FromCIDR, ToCIDRSet: rule.FromCIDRSet,
			ToEntities: rule.FromEntities, ToPorts: rule.ToPorts, ICMPs: rule.ICMPs,
		})
	}
	return rules
}

// setCiliumRules sets rules that [ciliumRulesOf] returned.
func setCiliumRules(p *cilium.NetworkPolicy, d policy.Direction, rules []cilium.EgressRule) {
	if d == policy.Egress {
		p.Spec.Egress = rules
		return
	}
	p.Spec.Ingress = nil
	for _, rule := range rules {
		p.Spec.Ingress = append(p.Spec.Ingress, toIngress(rule))
	}
}

func toIngress(rule cilium.EgressRule) cilium.IngressRule {
	return cilium.IngressRule{
		FromEndpoints: rule.ToEndpoints, FromCIDR: rule.ToCIDR, FromCIDRSet: rule.ToCIDRSet,
		FromEntities: rule.ToEntities, ToPorts: rule.ToPorts, ICMPs: rule.ICMPs,
	}
}
