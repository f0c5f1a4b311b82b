package policydiff

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// sameKey is the key of a label in a NetworkPolicy.
func sameKey(key string) string { return key }

// addKubernetes adds a NetworkPolicy, if it selects pods with these labels.
func (c collector) addKubernetes(object golden.Policy, labels map[string]string) {
	p := object.(*networkingv1.NetworkPolicy)
	selects := func(s selector) bool { return s.matches(labels) }
	if !slices.ContainsFunc(selectorsOf(&p.Spec.PodSelector, sameKey), selects) {
		return
	}
	c.selected = true
	isolates := networkpolicy.HasType(p, c.direction)
	if isolates || c.direction == policy.Ingress { // lists of ingress apply to every policy that selects the pods
		c.addLists(p, isolates)
	}
	if !isolates {
		return
	}
	c.isolating = append(c.isolating, p.Name)
	for i, r := range networkpolicy.RulesOf(p, c.direction) {
		from := Origin{p.Name, i}
		if len(r.Peers) == 0 {
			c.allowEveryone(p, from, r.Ports)
		}
		open := portsOf(r.Ports)
		for _, to := range r.Peers {
			switch {
			case to.IPBlock != nil:
				c.allowBlock(p, from, blockOf(to.IPBlock.CIDR, to.IPBlock.Except), open)
			default:
				c.allowPods(from, to, open)
			}
		}
	}
}

// allowEveryone adds a rule without peers. At a port that an annotation reserves, it is only for the listed peers.
func (c collector) allowEveryone(p *networkingv1.NetworkPolicy, from Origin, list []networkingv1.NetworkPolicyPort) {
	if len(list) == 0 {
		c.allow(from, peer{kind: everyone}, block{}, everyPort())
	}
	for i := range list {
		open := portsOf(list[i : i+1])
		reserved := false
		for _, annotation := range policy.ReservationAnnotations(c.direction) {
			for _, text := range policy.EntriesOf(p, annotation) {
				r, err := policy.ParseReservation(annotation, text)
				if err != nil || !isNumber(list[i]) || open.String() != onePort(r.Protocol, r.Port).String() {
					continue
				}
				reserved = true
				to := peer{kind: beyond, name: "the API server"}
				if r.Workload != "" {
					to.name = r.Workload + " on the network of its node"
				}
				c.allow(from, to, block{}, open)
			}
		}
		if !reserved {
			c.allow(from, peer{kind: everyone}, block{}, open)
		}
	}
}

func isNumber(p networkingv1.NetworkPolicyPort) bool {
	return p.Port != nil && p.Port.Type == intstr.Int && p.EndPort == nil
}

// allowBlock adds a range of addresses. In a policy with a list of names, the internet is open to these only, and a
// single address to these and to hosts without a name.
func (c collector) allowBlock(p *networkingv1.NetworkPolicy, from Origin, b block, open ports) {
	_, gated := p.Annotations[policy.NamesAnnotation]
	gated = gated && c.direction == policy.Egress
	everywhere := b.prefix.Bits() == 0
	if !gated || !everywhere && !b.prefix.IsSingleIP() {
		c.allow(from, peer{kind: addresses}, b, open)
		if everywhere && c.direction == policy.Egress { // where hosts without a known address are
			c.allow(from, peer{kind: lookup, name: everyName}, block{}, ports{rest: true})
		}
		return
	}
	if !everywhere {
		c.allow(from, peer{kind: nameless}, b, open)
	}
	for _, n := range policy.ListedNames(p).All {
		if !n.IsLookup() {
			c.allow(from, peer{kind: listed, name: n.Host}, b, open.and(onePort(n.Protocol, n.Port)))
		}
	}
}

func (c collector) allowPods(from Origin, to networkingv1.NetworkPolicyPeer, open ports) {
	namespaces := []selector{inNamespace(c.namespace)}
	if to.NamespaceSelector != nil {
		namespaces = selectorsOf(to.NamespaceSelector, sameKey)
	}
	for _, own := range selectorsOf(to.PodSelector, sameKey) {
		for _, in := range namespaces {
			c.allow(from, peer{kind: pods, pods: own, namespaces: in}, block{}, open)
		}
	}
}

// portsOf returns the ports of a rule. An empty list is every port.
func portsOf(list []networkingv1.NetworkPolicyPort) ports {
	if len(list) == 0 {
		return everyPort()
	}
	var all ports
	for _, p := range list {
		protocol := withPorts[0]
		if p.Protocol != nil {
			protocol = string(*p.Protocol)
		}
		switch {
		case p.Port == nil:
			all.add(single(protocol, firstPort, lastPort))
		case p.Port.Type == intstr.String:
			all.add(named(p.Port.StrVal, protocol))
		case p.EndPort != nil:
			all.add(single(protocol, p.Port.IntValue(), int(*p.EndPort)))
		default:
			all.add(single(protocol, p.Port.IntValue(), p.Port.IntValue()))
		}
	}
	return all
}
