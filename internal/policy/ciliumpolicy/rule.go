package ciliumpolicy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// rulesFor turns sorted permissions into rules.
func rulesFor(permissions []permission) []Rule {
	var list []Rule
	for len(permissions) > 0 {
		first, n := permissions[0], 1
		for n < len(permissions) && permissions[n].sharesRule(first) {
			n++
		}
		rule := first.peer.rule()
		rule.allowAll(permissions[:n])
		rule.shareEntries()
		list = append(list, rule)
		permissions = permissions[n:]
	}
	return list
}

// rule returns a rule for a peer, without ports.
func (k peerKey) rule() Rule {
	switch k.rank {
	case rankPods:
		set, _ := labels.ConvertSelectorToLabelsMap(k.labels) // a set that cannot be parsed is inexpressible
		if k.namespace != "" && k.namespace != policy.AnyNamespace {
			set = labels.Merge(set, labels.Set{cilium.NamespaceLabel: k.namespace})
		}
		pods := sourced(set)
		if k.namespace == policy.AnyNamespace {
			pods.MatchExpressions = []metav1.LabelSelectorRequirement{ofAnyNamespace}
		}
		return Rule{Endpoints: []metav1.LabelSelector{pods}}
	case rankResolver:
		if k.addr.IsValid() {
			return Rule{Cidrs: []cilium.CIDRRule{{CIDR: netip.PrefixFrom(k.addr, k.bits).String()}}}
		}
		if k.labels != "" {
			return peerKey{rank: rankPods, namespace: k.namespace, labels: k.labels}.rule()
		}
		set := labels.Merge(policy.ResolverLabels, labels.Set{cilium.NamespaceLabel: flow.ClusterResolver.Namespace})
		return Rule{Endpoints: []metav1.LabelSelector{sourced(set)}}
	case rankAPIServer:
		return Rule{Entities: []string{cilium.APIServer}}
	case rankHost:
		return Rule{Entities: []string{cilium.Host}}
	case rankNodes:
		return Rule{Entities: []string{cilium.Host, cilium.RemoteNode}}
	case rankName:
		if strings.Contains(k.host, "*") {
			return Rule{Names: []cilium.FQDN{{MatchPattern: k.host}}}
		}
		return Rule{Names: []cilium.FQDN{{MatchName: k.host}}}
	case rankAnyone:
		return Rule{Entities: []string{cilium.All}}
	}
	return Rule{Cidrs: []cilium.CIDRRule{{CIDR: netip.PrefixFrom(k.addr, k.addr.BitLen()).String()}}}
}

// ofAnyNamespace makes a selector select pods of all namespaces. Without a requirement on the namespace's label, Cilium
// selects only pods of the policy's own namespace.
var ofAnyNamespace = metav1.LabelSelectorRequirement{
	Key: cilium.KubernetesSource + cilium.NamespaceLabel, Operator: metav1.LabelSelectorOpExists,
}

// sourced returns a selector for pod labels, with the source of each key.
func sourced(set labels.Set) metav1.LabelSelector {
	s := metav1.LabelSelector{MatchLabels: make(map[string]string)}
	for key, value := range set {
		s.MatchLabels[cilium.KubernetesSource+key] = value
	}
	return s
}

// allowAll adds permissions one after the other. It adds those for several requests to one port at once, because there
// may be thousands.
func (r *Rule) allowAll(permissions []permission) {
	for len(permissions) > 0 {
		first, n := permissions[0], 1
		if !first.isForRequest() {
			r.allow(first)
			permissions = permissions[1:]
			continue
		}
		for n < len(permissions) && permissions[n].isForRequest() && permissions[n].sharesPort(first) {
			n++
		}
		r.allowRequests(permissions[:n])
		permissions = permissions[n:]
	}
}

// isForRequest reports whether a permission is for one HTTP request.
func (o permission) isForRequest() bool {
	return o.request.isHTTP() && !o.isICMP() && o.peer.rank != rankResolver
}

// allow adds the ports, or the ICMP type, of a permission. Ports stay sorted, without duplicates. A full entry is
// followed by another. Where every request is needed, the port loses its HTTP rules.
func (r *Rule) allow(o permission) {
	switch {
	case o.isICMP():
		if len(r.Icmps) == 0 {
			r.Icmps = []cilium.ICMPRule{{}}
		}
		fields := &r.Icmps[len(r.Icmps)-1].Fields
		if field := o.icmpField(); !slices.ContainsFunc(*fields, field.Is) {
			later := func(other cilium.ICMPField) bool { return compareICMP(other, field) > 0 }
			*fields = policy.InsertBefore(slices.Clone(*fields), field, later)
		}
	case o.peer.rank == rankResolver && (o.port == policy.ResolverPort || o.peer != (peerKey{rank: rankResolver})):
		r.readLookups(o.port)
	case o.request.isHTTP():
		r.allowRequests([]permission{o})
	case !o.request.every && r.hasRequests(o.policyPort()): // nothing was sent
	default:
		if o.request.every {
			r.removePort(o.policyPort(), true)
		}
		r.addPort(o.policyPort())
	}
}

// addPort inserts a port, in order, into the first entry that has room and no L7 rules. If there is none, it adds an
// entry.
func (r *Rule) addPort(port cilium.Port) {
	r.Ports = slices.Clone(r.Ports)
	room := -1
	for i, rule := range r.Ports {
		switch {
		case rule.Rules != nil:
		case slices.Contains(rule.Ports, port):
			return
		case room < 0 && len(rule.Ports) < cilium.MaxPorts:
			room = i
		}
	}
	if room < 0 {
		r.Ports = policy.InsertBefore(r.Ports, cilium.PortRule{Ports: []cilium.Port{port}}, cilium.PortRule.HasHTTP)
		return
	}
	later := func(other cilium.Port) bool { return comparePorts(other, port) > 0 }
	r.Ports[room].Ports = policy.InsertBefore(slices.Clone(r.Ports[room].Ports), port, later)
}

func comparePorts(a, b cilium.Port) int {
	m, isNumber := a.Number()
	n, _ := b.Number()
	if !isNumber {
		return -1 // named ports come first, in their order
	}
	return cmp.Or(cmp.Compare(m, n), cmp.Compare(protocolRank(a.Protocol), protocolRank(b.Protocol)))
}

func compareICMP(a, b cilium.ICMPField) int {
	return cmp.Or(cmp.Compare(a.Number(), b.Number()), cmp.Compare(a.Family, b.Family))
}

// protocolRank orders protocols by IANA number, as package networkpolicy does.
func protocolRank(name string) int {
	for i, known := range []string{flow.TCP.String(), flow.UDP.String(), flow.SCTP.String()} {
		if name == known {
			return i
		}
	}
	return -1
}

// lookups returns a port of the resolver at which Cilium reads every lookup.
func lookups(port uint16) cilium.PortRule {
	return cilium.PortRule{
		Ports: []cilium.Port{{Port: strconv.Itoa(int(port)), Protocol: cilium.Any}},
		Rules: &cilium.L7Rules{DNS: []cilium.FQDN{{MatchPattern: "*"}}},
	}
}

func (o permission) policyPort() cilium.Port {
	return cilium.Port{Port: strconv.Itoa(int(o.port)), EndPort: int32(o.end), Protocol: o.protocol.String()}
}

func (o permission) icmpField() cilium.ICMPField {
	family := cilium.IPv4
	if o.protocol == flow.ICMPv6 {
		family = cilium.IPv6
	}
	return cilium.ICMPField{Family: family, Type: intstr.FromInt32(int32(o.port))}
}
