package policy

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// ciliumView is a policy that isolates a subject in a direction, with what it takes to read its rules.
type ciliumView struct {
	*cilium.NetworkPolicy
	scope     Cilium
	direction direction
	rules     []ciliumRule
	namespace string        // of the policy and the subject, never empty
	named     bool          // one of the policy's rules is for names
	lookups   []cilium.FQDN // that Cilium reads for the subject's pods, by any policy
}

// views returns the policies that isolate the subject in a direction, in their order.
func (c Cilium) views(policies ciliumPolicies, subject Workload, d direction) []ciliumView {
	var isolating []ciliumView
	var lookups []cilium.FQDN
	for _, p := range policies {
		if ciliumPassesOver(p, subject, d) != "" {
			continue
		}
		v := ciliumView{
			NetworkPolicy: p, scope: c, direction: d, rules: ciliumRulesOf(p, d),
			namespace: cmp.Or(p.Namespace, subject.Namespace, defaultNamespace),
		}
		for _, r := range v.rules {
			v.named = v.named || len(r.names) > 0
			for _, ports := range r.ports {
				if ports.HasDNS() && len(r.names) == 0 { // a rule for names would need its own answer first
					lookups = append(lookups, ports.Rules.DNS...)
				}
			}
		}
		isolating = append(isolating, v)
	}
	for i := range isolating {
		isolating[i].lookups = lookups
	}
	return isolating
}

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
		for i := range max(1, len(r.peers())) {
			for j := range max(1, len(r.openTo())) {
				if !yield(min(i, len(r.peers())-1), min(j, len(r.openTo())-1)) {
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
		b = r.openTo()[port]
	}
	return a, b
}

// match holds a flow against one pair of a rule.
func (v ciliumView) match(r ciliumRule, peer, port int, f flow.Flow) fit {
	a, b := r.pair(peer, port)
	return fit{v.fitPeer(a, f), v.fitPort(b, f), v.redirects(a, b, f)}
}

// redirects is as that of the other dialect: a person's word for a resolver that goes by other labels.
func (v ciliumView) redirects(peer ciliumPeerRef, port ciliumPortRef, f flow.Flow) bool {
	if f.Destination.Kind != flow.Resolver || !isDNSPort(int32(f.Port)) || port.port == nil || port.port.EndPort != 0 || peer.name != nil {
		return false
	}
	n, isNumber := port.port.Number()
	return isNumber && isDNSPort(int32(n)) && fitProtocol(*port.port, f.Protocol)
}

func (v ciliumView) fitPeer(peer ciliumPeerRef, f flow.Flow) peerFit {
	far := v.direction.far(f)
	isServer := v.direction == egress && isAPIServer(far)
	arePods := far.Kind == flow.Workload || far.Kind == flow.Resolver
	switch {
	case peer == ciliumPeerRef{}, peer.entity == cilium.All:
		return peerFits
	case far.Kind == flow.Anyone:
		return otherSort // whatever the peer is, others may call too
	case peer.entity != "":
		return fitEntity(peer.entity, far, isServer)
	case isServer, arePods != (peer.endpoint != nil):
		return otherSort
	case arePods:
		return v.fitPods(peer.endpoint, far)
	case peer.name != nil:
		return v.fitName(*peer.name, far)
	}
	return v.fitCIDR(peer.cidr, far)
}

func fitEntity(entity string, far flow.Endpoint, isServer bool) peerFit {
	addr := address(far)
	isWorld := !isServer && (far.Kind == flow.External || far.Kind == flow.Address)
	var fits bool
	switch entity {
	case cilium.APIServer:
		fits = isServer
	case cilium.Cluster:
		fits = !isWorld
	case cilium.World:
		fits = isWorld
	case cilium.WorldIPv4:
		fits = isWorld && addr.Is4()
	case cilium.WorldIPv6:
		fits = isWorld && addr.Is6()
	}
	if fits {
		return peerFits
	}
	return otherSort
}

func (v ciliumView) fitPods(selector *metav1.LabelSelector, far flow.Endpoint) peerFit {
	w, _ := v.scope.workload(far)
	pods, namespace := w.labels(), cmp.Or(w.Namespace, v.namespace)
	if far.Kind == flow.Resolver {
		pods, namespace = resolverLabels, flow.ClusterResolver.Namespace
	}
	plain := plainSelector(selector)
	byNamespace, others := &metav1.LabelSelector{}, &metav1.LabelSelector{}
	part := func(key string) *metav1.LabelSelector {
		if isNamespaceKey(key) {
			return byNamespace
		}
		return others
	}
	for _, key := range sortedKeysOf(plain.MatchLabels) {
		metav1.AddLabelToSelector(part(key), key, plain.MatchLabels[key])
	}
	for _, e := range plain.MatchExpressions {
		p := part(e.Key)
		p.MatchExpressions = append(p.MatchExpressions, e)
	}
	all := podLabels(pods, namespace)
	inNamespace := selects(byNamespace, all)
	if isEmpty(byNamespace) {
		inNamespace = namespace == v.namespace
	}
	switch {
	case !selects(others, all):
		return otherPeer
	case !inNamespace:
		return otherNamespace
	}
	return peerFits
}

// fitName asks for a name and for the leave to look it up. An address without a name may be any host's.
func (v ciliumView) fitName(name cilium.FQDN, far flow.Endpoint) peerFit {
	switch {
	case far.Kind != flow.External || v.direction == ingress:
		return otherSort
	case !name.Matches(far.Name):
		return otherPeer
	case !v.readsLookup(far.Name):
		return unseen
	}
	return peerFits
}

func (v ciliumView) readsLookup(host string) bool {
	return slices.ContainsFunc(v.lookups, func(n cilium.FQDN) bool { return n.Matches(host) })
}

// fitCIDR is for addresses outside of the cluster. In a policy that names hosts a single address is not for those of
// another name, as in the other dialect.
func (v ciliumView) fitCIDR(r *cilium.CIDRRule, far flow.Endpoint) peerFit {
	prefix, err := netip.ParsePrefix(r.CIDR)
	addr := address(far)
	external := v.direction == egress && far.Kind == flow.External
	switch {
	case err != nil:
		return otherPeer
	case !addr.IsValid() && external && prefix.Bits() == 0:
	case !prefix.Contains(addr):
		return otherPeer
	case exceptIn(r.Except, addr) != "":
		return excepted
	case external && v.named && prefix.IsSingleIP():
		return unnamed
	}
	return peerFits
}

func (v ciliumView) fitPort(ref ciliumPortRef, f flow.Flow) portFit {
	switch {
	case ref.icmp != nil:
		return fitICMP(*ref.icmp, f)
	case ref.port == nil:
		return portFits // of whichever protocol
	case !f.Protocol.HasPorts() || f.Port == 0:
		return otherPort
	}
	first, isNumber := ref.port.Number()
	last := max(first, int(ref.port.EndPort))
	inRange := !isNumber || first == 0 || first <= int(f.Port) && int(f.Port) <= last ||
		v.direction == egress && isAPIServer(f.Destination) && f.Port == apiServicePort && first == apiServerPort
	switch {
	case !inRange:
		return otherPort
	case !fitProtocol(*ref.port, f.Protocol):
		return otherProtocol
	case !isNumber:
		return portByName
	}
	return portFits
}

func fitProtocol(p cilium.Port, protocol flow.Protocol) bool {
	return p.Protocol == protocol.String() || protocol.HasPorts() && (p.Protocol == "" || p.Protocol == cilium.Any)
}

func fitICMP(field cilium.ICMPField, f flow.Flow) portFit {
	family, echo := flow.ICMP, cilium.Echo
	if field.Family == cilium.IPv6 {
		family, echo = flow.ICMPv6, cilium.EchoV6
	}
	switch {
	case f.Protocol != family:
		return otherPort
	case field.Number() != echo:
		return otherProtocol
	}
	return portFits
}
