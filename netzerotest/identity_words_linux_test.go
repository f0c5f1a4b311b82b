package netzerotest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
)

// The parts of a policy that a row of docs/identity.md may show.
const (
	showsEgress   = "egress"  // without the rule for the cluster's DNS
	showsAll      = "all"     // egress, including that rule
	showsIngress  = "ingress" // the permitted callers
	showsSelector = "selects" // the pods that the policy selects
)

// namespaceLabels are the labels by which the dialects select a namespace.
var namespaceLabels = []string{"kubernetes.io/metadata.name", "io.kubernetes.pod.namespace"}

const inAnyNamespace = " in any namespace"

// shortPods returns a selector in the form "app=db, tier=web in shop".
func shortPods(labels ...map[string]string) string {
	var pairs []string
	namespace := ""
	for _, set := range labels {
		for _, key := range slices.Sorted(maps.Keys(set)) {
			switch name := strings.TrimPrefix(key, "k8s:"); {
			case slices.Contains(namespaceLabels, name):
				namespace = " in " + set[key]
			default:
				pairs = append(pairs, name+"="+set[key])
			}
		}
	}
	if len(pairs) == 0 {
		return "all pods" + namespace
	}
	return strings.Join(pairs, ", ") + namespace
}

// isDNS reports whether a rule is the one for the default cluster DNS.
func isDNS(rule string) bool { return strings.HasPrefix(rule, "k8s-app=kube-dns in kube-system: ") }

// withoutDNS removes that rule if a row does not show it. If it is missing although there are other rules, an item says
// so.
func withoutDNS(rules []string, shows string) []string {
	if shows != showsEgress {
		return rules
	}
	all := len(rules)
	rules = slices.DeleteFunc(rules, isDNS)
	if len(rules) == all && all > 0 {
		rules = append(rules, "no DNS")
	}
	return rules
}

// shortKubernetes returns a NetworkPolicy in the words of docs/identity.md, an item for each rule and annotation.
func shortKubernetes(p *networkingv1.NetworkPolicy, shows string) []string {
	if shows == showsSelector {
		return []string{shortPods(p.Spec.PodSelector.MatchLabels)}
	}
	ports := func(all []networkingv1.NetworkPolicyPort) string {
		var texts []string
		for _, port := range all {
			var end int32
			if port.EndPort != nil {
				end = *port.EndPort
			}
			protocol := corev1.ProtocolTCP
			if port.Protocol != nil {
				protocol = *port.Protocol
			}
			texts = append(texts, shortPort(port.Port.String(), end, string(protocol)))
		}
		return strings.Join(texts, ", ")
	}
	rule := func(peers []networkingv1.NetworkPolicyPeer, at []networkingv1.NetworkPolicyPort, anyone string) string {
		var texts []string
		for _, peer := range peers {
			switch {
			case peer.IPBlock != nil && peer.IPBlock.CIDR == "0.0.0.0/0":
				texts = append(texts, "internet")
			case peer.IPBlock != nil && peer.IPBlock.CIDR == "::/0":
			case peer.IPBlock != nil:
				texts = append(texts, peer.IPBlock.CIDR)
			case peer.NamespaceSelector != nil && len(peer.NamespaceSelector.MatchLabels) == 0:
				texts = append(texts, shortPods(peer.PodSelector.MatchLabels)+inAnyNamespace)
			case peer.NamespaceSelector != nil:
				texts = append(texts, shortPods(peer.PodSelector.MatchLabels, peer.NamespaceSelector.MatchLabels))
			default:
				texts = append(texts, shortPods(peer.PodSelector.MatchLabels))
			}
		}
		if len(peers) == 0 {
			texts = []string{anyone}
		}
		return strings.Join(texts, " or ") + ": " + ports(at)
	}
	var items []string
	if shows == showsIngress {
		if !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			return []string{"ingress is open"}
		}
		for _, r := range p.Spec.Ingress {
			items = append(items, "from "+rule(r.From, r.Ports, "anyone"))
		}
		if len(items) == 0 {
			items = []string{"no ingress"}
		}
		return append(items, annotationsOf(p.Annotations, "ingress")...)
	}
	for _, r := range p.Spec.Egress {
		items = append(items, rule(r.To, r.Ports, "all addresses"))
	}
	return append(withoutDNS(items, shows), annotationsOf(p.Annotations, "egress")...)
}

// shortCilium returns a CiliumNetworkPolicy in the words of docs/identity.md, an item for each rule and annotation.
func shortCilium(p *golden.CiliumNetworkPolicy, shows string) []string {
	if shows == showsSelector {
		return []string{shortPods(p.Spec.EndpointSelector.MatchLabels)}
	}
	var items []string
	if shows == showsIngress {
		if p.Spec.Ingress == nil {
			return []string{"ingress is open"}
		}
		for _, r := range p.Spec.Ingress {
			var peers []string
			for _, e := range r.FromEndpoints {
				text := shortPods(e.MatchLabels)
				if len(e.MatchExpressions) > 0 { // the generator writes only one, which every namespace satisfies
					text += inAnyNamespace
				}
				peers = append(peers, text)
			}
			for _, c := range r.FromCIDRSet {
				peers = append(peers, c.CIDR)
			}
			if len(r.FromEntities) > 0 {
				peers = append(peers, "fromEntities "+strings.Join(r.FromEntities, ", "))
			}
			var ports []string
			for _, rule := range r.ToPorts {
				for _, port := range rule.Ports {
					ports = append(ports, shortPort(port.Port, port.EndPort, port.Protocol))
				}
			}
			if len(peers)+len(ports) == 0 {
				items = append(items, "no ingress")
				continue
			}
			from := "from "
			if len(r.FromEntities) > 0 {
				from = ""
			}
			items = append(items, from+strings.Join(peers, " or ")+": "+strings.Join(ports, ", "))
		}
		return append(items, annotationsOf(p.Annotations, "ingress")...)
	}
	for _, r := range p.Spec.Egress {
		var peers []string
		for _, e := range r.ToEndpoints {
			peers = append(peers, shortPods(e.MatchLabels))
		}
		for _, f := range r.ToFQDNs {
			peers = append(peers, "toFQDNs "+f.MatchName+f.MatchPattern)
		}
		for _, c := range r.ToCIDRSet {
			peers = append(peers, c.CIDR)
		}
		if len(r.ToEntities) > 0 {
			peers = append(peers, "toEntities "+strings.Join(r.ToEntities, ", "))
		}
		var ports []string
		for _, rule := range r.ToPorts {
			for _, port := range rule.Ports {
				ports = append(ports, shortPort(port.Port, port.EndPort, port.Protocol))
			}
			if rule.Rules != nil {
				ports[len(ports)-1] += " with rules.dns"
			}
		}
		for _, rule := range r.ICMPs {
			for _, field := range rule.Fields {
				ports = append(ports, "ICMP type "+field.Type.String())
			}
		}
		if len(peers)+len(ports) > 0 { // otherwise it allows nothing
			items = append(items, strings.Join(peers, " or ")+": "+strings.Join(ports, ", "))
		}
	}
	return append(withoutDNS(items, shows), annotationsOf(p.Annotations, "egress")...)
}

func shortPort(port string, end int32, protocol string) string {
	if end != 0 {
		port += fmt.Sprintf("-%d", end)
	}
	if protocol == "" {
		protocol = "TCP"
	}
	return port + "/" + protocol
}
