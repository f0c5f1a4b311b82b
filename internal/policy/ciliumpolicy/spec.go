package ciliumpolicy

import (
	"iter"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Rule is a rule of either direction. In Cilium the two differ only in the names of fields, and in names (toFQDNs),
// which only egress has.
type Rule struct {
	Endpoints []metav1.LabelSelector
	Names     []cilium.FQDN
	Addresses []string // ranges without exceptions, which have a separate field
	Cidrs     []cilium.CIDRRule
	Entities  []string
	Ports     []cilium.PortRule
	Icmps     []cilium.ICMPRule
}

// RulesOf returns the rules of a policy that allow flows in a direction.
func RulesOf(p *cilium.NetworkPolicy, d policy.Direction) []Rule {
	if d == policy.Ingress {
		return ingress(p.Spec.Ingress)
	}
	return egress(p.Spec.Egress)
}

// DenyRulesOf returns the rules of a policy that deny flows in a direction.
func DenyRulesOf(p *cilium.NetworkPolicy, d policy.Direction) []Rule {
	if d == policy.Ingress {
		return ingress(p.Spec.IngressDeny)
	}
	return egress(p.Spec.EgressDeny)
}

func ingress(list []cilium.IngressRule) []Rule {
	rules := make([]Rule, 0, len(list))
	for _, r := range list {
		rules = append(rules, Rule{r.FromEndpoints, nil, r.FromCIDR, r.FromCIDRSet, r.FromEntities, r.ToPorts, r.ICMPs})
	}
	return rules
}

func egress(list []cilium.EgressRule) []Rule {
	rules := make([]Rule, 0, len(list))
	for _, r := range list {
		rules = append(rules, Rule{r.ToEndpoints, r.ToFQDNs, r.ToCIDR, r.ToCIDRSet, r.ToEntities, r.ToPorts, r.ICMPs})
	}
	return rules
}

// SetRules sets the rules of a policy that allow flows in a direction. Without any, egress denies everything.
func SetRules(p *cilium.NetworkPolicy, d policy.Direction, rules []Rule) {
	if d == policy.Ingress {
		p.Spec.Ingress = slices.Grow([]cilium.IngressRule(nil), len(rules))
		for _, r := range rules {
			p.Spec.Ingress = append(p.Spec.Ingress, cilium.IngressRule{
				FromEndpoints: r.Endpoints, FromCIDR: r.Addresses, FromCIDRSet: r.Cidrs,
				FromEntities: r.Entities, ToPorts: r.Ports, ICMPs: r.Icmps,
			})
		}
		return
	}
	p.Spec.Egress = slices.Grow([]cilium.EgressRule(nil), len(rules))
	for _, r := range rules {
		p.Spec.Egress = append(p.Spec.Egress, cilium.EgressRule{
			ToEndpoints: r.Endpoints, ToFQDNs: r.Names, ToCIDR: r.Addresses, ToCIDRSet: r.Cidrs,
			ToEntities: r.Entities, ToPorts: r.Ports, ICMPs: r.Icmps,
		})
	}
	if len(rules) == 0 {
		p.Spec.Egress = []cilium.EgressRule{{}}
	}
}

// SetDenyRules sets the rules of a policy that deny flows in a direction.
func SetDenyRules(p *cilium.NetworkPolicy, d policy.Direction, rules []Rule) {
	var of cilium.NetworkPolicy
	if SetRules(&of, d, rules); d == policy.Ingress {
		p.Spec.IngressDeny = of.Spec.Ingress
		return
	}
	p.Spec.EgressDeny = of.Spec.Egress
}

// isEmpty reports whether a rule has no fields. Such a rule allows nothing; it only gives the direction a rule, so that
// the direction is denied by default.
func (r Rule) isEmpty() bool { return r.countPeers()+len(r.Ports)+len(r.Icmps) == 0 }

// countPeers returns the length of peers.
func (r Rule) countPeers() int {
	return len(r.Endpoints) + len(r.Names) + len(r.Addresses) + len(r.Cidrs) + len(r.Entities)
}

// peerRef is one peer of a rule. It has at most one of endpoint, name, cidr and entity; without any, it is every peer.
type peerRef struct {
	endpoint *metav1.LabelSelector
	split    *podSelector // of endpoint; may be nil
	name     *cilium.FQDN
	cidr     *cilium.CIDRRule
	entity   string
}

// selector returns endpoint in two parts.
func (p peerRef) selector() *podSelector {
	if p.split != nil {
		return p.split
	}
	return splitSelector(p.endpoint)
}

// peers returns all peers of a rule, of every kind, in order.
func (r Rule) peers() []peerRef {
	peers := make([]peerRef, 0, r.countPeers())
	for i := range r.Endpoints {
		peers = append(peers, peerRef{endpoint: &r.Endpoints[i]})
	}
	for i := range r.Names {
		peers = append(peers, peerRef{name: &r.Names[i]})
	}
	for _, cidr := range r.Addresses {
		peers = append(peers, peerRef{cidr: &cilium.CIDRRule{CIDR: cidr}})
	}
	for i := range r.Cidrs {
		peers = append(peers, peerRef{cidr: &r.Cidrs[i]})
	}
	for _, e := range r.Entities {
		peers = append(peers, peerRef{entity: e})
	}
	return peers
}

// portRef is one port or one ICMP type of a rule; without either, it is every port.
type portRef struct {
	port  *cilium.Port
	icmp  *cilium.ICMPField
	http  *cilium.L7Rules // the HTTP rules of the port; nil if there are none
	entry int             // of the rule's Ports that has the port

	requests *cilium.HTTPIndex // of http; may be nil
}

// allowing yields the index of each of the HTTP rules that allows a request.
func (p portRef) allowing(r flow.Request) iter.Seq[int] {
	if r.IsHTTP() && p.requests != nil {
		return p.requests.Allowing(r.Method, r.Host, r.URI())
	}
	return func(yield func(int) bool) {
		for i, rule := range p.http.HTTP {
			if allowsRequest(rule, r) && !yield(i) {
				return
			}
		}
	}
}

func portOf(e cilium.PortRule, entry, i int) portRef {
	ref := portRef{port: &e.Ports[i], entry: entry}
	if e.HasHTTP() {
		ref.http = e.Rules
	}
	return ref
}

// countHTTP returns the number of HTTP rules in the first entries of a rule's ports.
func (r Rule) countHTTP(entries int) int {
	n := 0
	for _, e := range r.Ports[:entries] {
		if e.HasHTTP() {
			n += len(e.Rules.HTTP)
		}
	}
	return n
}

// AllowedPorts returns all ports and ICMP types of a rule, in order.
func (r Rule) AllowedPorts() []portRef {
	var ports []portRef
	for entry, rule := range r.Ports {
		for i := range rule.Ports {
			ports = append(ports, portOf(rule, entry, i))
		}
	}
	for _, rule := range r.Icmps {
		for i := range rule.Fields {
			ports = append(ports, portRef{icmp: &rule.Fields[i]})
		}
	}
	return ports
}

// pairs yields every combination of a rule's peers and ports, by index. Index -1 stands for every peer, or every port.
func (r Rule) pairs() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		if r.isEmpty() {
			return
		}
		peers, ports := r.countPeers(), len(r.AllowedPorts())
		for i := range max(1, peers) {
			for j := range max(1, ports) {
				if !yield(min(i, peers-1), min(j, ports-1)) {
					return
				}
			}
		}
	}
}

func (r Rule) pair(peer, port int) (peerRef, portRef) {
	var a peerRef
	var b portRef
	if peer >= 0 {
		a = r.peers()[peer]
	}
	if port >= 0 {
		b = r.portAt(port)
	}
	return a, b
}

// portAt returns an element of AllowedPorts without building the list, because a rule may have thousands.
func (r Rule) portAt(i int) portRef {
	for entry, rule := range r.Ports {
		if i < len(rule.Ports) {
			return portOf(rule, entry, i)
		}
		i -= len(rule.Ports)
	}
	for _, rule := range r.Icmps {
		if i < len(rule.Fields) {
			return portRef{icmp: &rule.Fields[i]}
		}
		i -= len(rule.Fields)
	}
	panic("a rule has no such port")
}
