package policy

import (
	"iter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// ciliumRule is a rule of either direction: in Cilium they differ in the names of fields, and that only egress has names.
type ciliumRule struct {
	endpoints []metav1.LabelSelector
	names     []cilium.FQDN
	addresses []string // ranges without exceptions, which have a field of their own
	cidrs     []cilium.CIDRRule
	entities  []string
	ports     []cilium.PortRule
	icmps     []cilium.ICMPRule
}

// ciliumRulesOf returns a policy's rules of a direction that allow something.
func ciliumRulesOf(p *cilium.NetworkPolicy, d direction) []ciliumRule {
	if d == ingress {
		return ciliumIngress(p.Spec.Ingress)
	}
	return ciliumEgress(p.Spec.Egress)
}

// ciliumDenyRulesOf returns a policy's rules of a direction that deny something.
func ciliumDenyRulesOf(p *cilium.NetworkPolicy, d direction) []ciliumRule {
	if d == ingress {
		return ciliumIngress(p.Spec.IngressDeny)
	}
	return ciliumEgress(p.Spec.EgressDeny)
}

func ciliumIngress(list []cilium.IngressRule) []ciliumRule {
	var rules []ciliumRule
	for _, r := range list {
		rules = append(rules, ciliumRule{r.FromEndpoints, nil, r.FromCIDR, r.FromCIDRSet, r.FromEntities, r.ToPorts, r.ICMPs})
	}
	return rules
}

func ciliumEgress(list []cilium.EgressRule) []ciliumRule {
	var rules []ciliumRule
	for _, r := range list {
		rules = append(rules, ciliumRule{r.ToEndpoints, r.ToFQDNs, r.ToCIDR, r.ToCIDRSet, r.ToEntities, r.ToPorts, r.ICMPs})
	}
	return rules
}

// setCiliumRules gives a policy its rules of a direction. Egress without any is the rule that denies everything.
func setCiliumRules(p *cilium.NetworkPolicy, d direction, rules []ciliumRule) {
	if d == ingress {
		p.Spec.Ingress = nil
		for _, r := range rules {
			p.Spec.Ingress = append(p.Spec.Ingress, cilium.IngressRule{
				FromEndpoints: r.endpoints, FromCIDR: r.addresses, FromCIDRSet: r.cidrs, FromEntities: r.entities, ToPorts: r.ports, ICMPs: r.icmps,
			})
		}
		return
	}
	p.Spec.Egress = nil
	for _, r := range rules {
		p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
			ToEndpoints: r.endpoints, ToFQDNs: r.names, ToCIDR: r.addresses, ToCIDRSet: r.cidrs, ToEntities: r.entities, ToPorts: r.ports, ICMPs: r.icmps,
		})
	}
	if len(rules) == 0 {
		p.Spec.Egress = []cilium.EgressRule{{}}
	}
}

// setCiliumDenyRules gives a policy its rules of a direction that deny something.
func setCiliumDenyRules(p *cilium.NetworkPolicy, d direction, rules []ciliumRule) {
	var of cilium.NetworkPolicy
	if setCiliumRules(&of, d, rules); d == ingress {
		p.Spec.IngressDeny = of.Spec.Ingress
		return
	}
	p.Spec.EgressDeny = of.Spec.Egress
}

// isEmpty reports whether a rule has no fields: then it is for nothing, and is there for its direction to have a rule.
func (r ciliumRule) isEmpty() bool { return len(r.peers())+len(r.ports)+len(r.icmps) == 0 }

// ciliumPeerRef is one peer of a rule, of which one field is set; none is everywhere.
type ciliumPeerRef struct {
	endpoint *metav1.LabelSelector
	name     *cilium.FQDN
	cidr     *cilium.CIDRRule
	entity   string
}

// peers returns all peers of a rule, of whichever kind, in their order.
func (r ciliumRule) peers() []ciliumPeerRef {
	var peers []ciliumPeerRef
	for i := range r.endpoints {
		peers = append(peers, ciliumPeerRef{endpoint: &r.endpoints[i]})
	}
	for i := range r.names {
		peers = append(peers, ciliumPeerRef{name: &r.names[i]})
	}
	for _, cidr := range r.addresses {
		peers = append(peers, ciliumPeerRef{cidr: &cilium.CIDRRule{CIDR: cidr}})
	}
	for i := range r.cidrs {
		peers = append(peers, ciliumPeerRef{cidr: &r.cidrs[i]})
	}
	for _, e := range r.entities {
		peers = append(peers, ciliumPeerRef{entity: e})
	}
	return peers
}

// ciliumPortRef is one port or one ICMP type of a rule; none is everything.
type ciliumPortRef struct {
	port *cilium.Port
	icmp *cilium.ICMPField
}

// openTo returns all ports and ICMP types of a rule, in their order.
func (r ciliumRule) openTo() []ciliumPortRef {
	var ports []ciliumPortRef
	for _, rule := range r.ports {
		for i := range rule.Ports {
			ports = append(ports, ciliumPortRef{port: &rule.Ports[i]})
		}
	}
	for _, rule := range r.icmps {
		for i := range rule.Fields {
			ports = append(ports, ciliumPortRef{icmp: &rule.Fields[i]})
		}
	}
	return ports
}

// pairs yields every peer of a rule with each of its ports, by their index; -1 is everywhere, and everything.
func (r ciliumRule) pairs() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		if r.isEmpty() {
			return
		}
		peers, ports := len(r.peers()), len(r.openTo())
		for i := range max(1, peers) {
			for j := range max(1, ports) {
				if !yield(min(i, peers-1), min(j, ports-1)) {
					return
				}
			}
		}
	}
}

func (r ciliumRule) pair(peer, port int) (ciliumPeerRef, ciliumPortRef) {
	var a ciliumPeerRef
	var b ciliumPortRef
	if peer >= 0 {
		a = r.peers()[peer]
	}
	if port >= 0 {
		b = r.portAt(port)
	}
	return a, b
}

// portAt is an element of openTo, which is not made for it: a rule may have thousands.
func (r ciliumRule) portAt(i int) ciliumPortRef {
	for _, rule := range r.ports {
		if i < len(rule.Ports) {
			return ciliumPortRef{port: &rule.Ports[i]}
		}
		i -= len(rule.Ports)
	}
	for _, rule := range r.icmps {
		if i < len(rule.Fields) {
			return ciliumPortRef{icmp: &rule.Fields[i]}
		}
		i -= len(rule.Fields)
	}
	panic("a rule has no such port")
}
