package conformance

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ciliums draws up to four policies in forms that people write by hand.
func (r draw) ciliums() []*cilium.NetworkPolicy {
	var all []*cilium.NetworkPolicy
	for i := range 1 + r.IntN(4) {
		p := &cilium.NetworkPolicy{TypeMeta: metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind}}
		p.Name, p.Namespace = "policy-"+strconv.Itoa(i), pick(r, namespaces...)
		if r.one(3) {
			p.Spec.EndpointSelector = r.sourced(r.selector())
		}
		if r.one(4) {
			yes, no := true, false
			p.Spec.EnableDefaultDeny = &cilium.DefaultDeny{Ingress: pick(r, nil, &yes, &no), Egress: pick(r, nil, &yes, &no)}
		}
		for range 1 + r.IntN(5) {
			rule := r.ciliumRule()
			in := cilium.IngressRule{FromEndpoints: rule.ToEndpoints, FromCIDR: rule.ToCIDR, FromCIDRSet: rule.ToCIDRSet,
				FromEntities: rule.ToEntities, ToPorts: rule.ToPorts, ICMPs: rule.ICMPs}
			switch s := &p.Spec; r.IntN(6) {
			case 0, 1:
				s.Ingress = append(s.Ingress, in)
			case 2, 3:
				s.Egress = append(s.Egress, rule)
			case 4:
				in.ToPorts = withoutHTTP(in.ToPorts)
				s.IngressDeny = append(s.IngressDeny, in)
			case 5:
				rule.ToPorts = withoutHTTP(rule.ToPorts)
				s.EgressDeny = append(s.EgressDeny, rule)
			}
		}
		all = append(all, p)
	}
	return all
}

func (r draw) ciliumRule() cilium.EgressRule {
	var rule cilium.EgressRule
	switch r.IntN(7) {
	case 0: // every peer; without ports too, the rule is empty and allows nothing
	case 1, 2:
		for range 1 + r.IntN(2) {
			rule.ToEndpoints = append(rule.ToEndpoints, r.peerSelector())
		}
	case 3:
		rule.ToCIDR = append(rule.ToCIDR, pick(r, ranges...), pick(r, ranges...))
	case 4:
		for range 1 + r.IntN(2) {
			block := cilium.CIDRRule{CIDR: pick(r, "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/15")}
			if r.one(2) {
				block.Except = append(block.Except, pick(r, "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"))
			}
			rule.ToCIDRSet = append(rule.ToCIDRSet, block)
		}
	case 5, 6:
		rule.ToEntities = append(rule.ToEntities, pick(r, "all", "world", "cluster", "cluster-mesh", "kube-apiserver", "host",
			"none", "init", "health", "unmanaged", "ingress"))
	}
	if r.one(6) {
		rule.ICMPs = []cilium.ICMPRule{{Fields: []cilium.ICMPField{{
			Family: pick(r, "", "IPv4", "IPv6"),
			Type:   pick(r, intstr.FromInt32(8), intstr.FromInt32(13), intstr.FromString("EchoRequest")),
		}}}}
		return rule
	}
	for range r.IntN(3) {
		var list cilium.PortRule
		for range 1 + r.IntN(3) {
			port := cilium.Port{Port: pick(r, "0", "79", "80", "81", "443", "5432", "65535"),
				Protocol: pick(r, "", "ANY", "TCP", "TCP", "UDP", "SCTP")}
			if first, _ := port.Number(); first > 0 && r.one(3) {
				port.EndPort = int32(min(65535, first+r.IntN(400)))
			}
			if r.one(5) {
				port = cilium.Port{Port: pick(r, portNames...), Protocol: pick(r, "TCP", "UDP")}
			}
			list.Ports = append(list.Ports, port)
		}
		if r.one(3) && !slices.ContainsFunc(list.Ports, hasNoHTTP) {
			list.Rules = &cilium.L7Rules{HTTP: r.httpRules()}
		}
		rule.ToPorts = append(rule.ToPorts, list)
	}
	return rule
}

// hasNoHTTP reports whether a port cannot have HTTP rules: they are for TCP, and not for all ports.
func hasNoHTTP(p cilium.Port) bool { return p.Protocol != "TCP" || p.Port == "0" }

// withoutHTTP returns ports without HTTP rules, as deny rules need them.
func withoutHTTP(ports []cilium.PortRule) []cilium.PortRule {
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Rules = nil
	}
	return ports
}

// httpRules draws HTTP rules in forms that people write by hand.
func (r draw) httpRules() []cilium.HTTPRule {
	var rules []cilium.HTTPRule
	for range 1 + r.IntN(3) {
		rules = append(rules, cilium.HTTPRule{
			Method: pick(r, "", "GET", "POST", "GET|POST", "(?i)get", "P.*", "M-SEARCH"),
			Path: pick(r, "", "/", "/a", "/a.*", "/a|/b", "/api/v1/[^/]+", `/a\.b(\?.*)?`, "^/a$", "/(a|b)?", ".*",
				`/\x41\pL[[:digit:]]{2,3}`, "/a?b=c"),
			Host: pick(r, "", "", "shop.example", `shop\.example(:\d+)?`, "[a-z]+"),
		})
	}
	return rules
}

// peerSelector selects pods in the policy's namespace, in a named one, in those with a label, or in all.
func (r draw) peerSelector() metav1.LabelSelector {
	s := r.sourced(r.selector())
	namespace := pick(r, "", "k8s:", "any:") + cilium.NamespaceLabel
	ofNamespace := pick(r, "", "k8s:") + cilium.NamespaceMetaLabel + pick(r, keys...)
	switch r.IntN(6) {
	case 0, 1:
		metav1.AddLabelToSelector(&s, namespace, pick(r, namespaces...))
	case 2:
		s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: namespace,
			Operator: pick(r, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)})
	case 3:
		s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: ofNamespace,
			Operator: pick(r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn), Values: []string{pick(r, values...)}})
	}
	return s
}

// sourced gives the keys of a selector a source, or none.
func (r draw) sourced(s *metav1.LabelSelector) metav1.LabelSelector {
	var with metav1.LabelSelector
	for key, value := range s.MatchLabels {
		metav1.AddLabelToSelector(&with, pick(r, "", "k8s:", "any:")+key, value)
	}
	for _, e := range s.MatchExpressions {
		e.Key = pick(r, "", "k8s:", "any:") + e.Key
		with.MatchExpressions = append(with.MatchExpressions, e)
	}
	return with
}

// request draws an HTTP request that some of the rules of [draw.httpRules] match.
func (r draw) request() *flow.Request {
	return &flow.Request{
		Protocol: flow.HTTP, Method: pick(r, "GET", "GET", "POST", "get", "PUT", "M-SEARCH"),
		Path:  pick(r, "/", "/a", "/a", "/abc", "/b", "/api/v1/users", "/api/v1/users/1", "/a.b", "/axb"),
		Query: pick(r, "", "", "?b=c"), Host: pick(r, "", "shop.example", "shop.example:80", "other"),
	}
}

// namesOf returns the names of a policy's ports.
func namesOf(text string) map[string]uint16 {
	const nowhere = 2 // a port without flows
	names := make(map[string]uint16)
	for _, name := range portNames {
		if strings.Contains(text, name) {
			names[name] = nowhere
		}
	}
	return names
}

// named returns a pod's named ports of a protocol, with their numbers.
func (p *pod) named(names map[string]uint16, protocol corev1.Protocol) map[string]uint16 {
	all := make(map[string]uint16)
	for name, number := range names {
		all[name] = number
	}
	if p != nil {
		for _, port := range p.Ports {
			if port.Protocol == protocol {
				all[port.Name] = port.Number
			}
		}
	}
	return all
}
