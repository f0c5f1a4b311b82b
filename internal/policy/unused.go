package policy

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Unused lists what no flow of the subject needed in the policies that isolate it, one line each, in the policies'
// order: "policy checkout: rule 3 (pods app=cache)", inside a rule that is used "policy checkout: rule 1: port
// 8443/TCP" and "policy checkout: rule 1: peer 10.0.0.0/8", and of [NamesAnnotation] "policy checkout: name
// old.example:443/TCP". Rules are numbered as in [Verdict].
//
// What the flows imply (see [Required]) counts as needed. The IPv4 and the IPv6 half of the internet count as one
// peer: which of them a name resolves to is chance. Two rules that allow one flow are both used.
func Unused(policies []*networkingv1.NetworkPolicy, subject Workload, flows []flow.Flow) []string {
	required := Required(flows)
	var lines []string
	for _, v := range views(policies, subject) {
		for i := range v.Spec.Egress {
			lines = append(lines, v.unusedInRule(i, required)...)
		}
		for _, n := range v.names {
			if !slices.ContainsFunc(required, n.matches) {
				lines = append(lines, fmt.Sprintf("policy %s: name %s", v.Name, n))
			}
		}
	}
	return lines
}

// unusedInRule returns one line for a rule that no flow used, else one for each of its peers and ports that none did.
func (v view) unusedInRule(i int, flows []flow.Flow) []string {
	rule, used := &v.Spec.Egress[i], v.usage(i, flows)
	where := fmt.Sprintf("policy %s: rule %d", v.Name, i)
	if !used.rule {
		return []string{fmt.Sprintf("%s (%s)", where, describePeers(rule.To))}
	}
	var lines []string
	for i := range rule.To {
		if !used.peers[i] {
			lines = append(lines, fmt.Sprintf("%s: peer %s", where, describePeer(&rule.To[i])))
		}
	}
	for i := range rule.Ports {
		if !used.ports[i] {
			lines = append(lines, fmt.Sprintf("%s: port %s", where, describePort(&rule.Ports[i])))
		}
	}
	return slices.Compact(lines) // the halves of the internet read the same
}

// usage is what flows needed of a rule: it at all, and which of its peers and ports, by their index.
type usage struct {
	rule         bool
	peers, ports []bool
}

func (v view) usage(i int, flows []flow.Flow) usage {
	rule := &v.Spec.Egress[i]
	peers, ports := make(map[*networkingv1.NetworkPolicyPeer]bool), make(map[*networkingv1.NetworkPolicyPort]bool)
	usesInternet := false
	for _, f := range flows {
		for peer, port := range pairs(rule) {
			if v.match(peer, port, f).allows() {
				peers[peer], ports[port] = true, true
				usesInternet = usesInternet || isInternet(peer)
			}
		}
	}
	used := usage{rule: len(peers) > 0}
	for i := range rule.To {
		peer := &rule.To[i]
		used.peers = append(used.peers, peers[peer] || usesInternet && isInternet(peer))
	}
	for i := range rule.Ports {
		used.ports = append(used.ports, ports[&rule.Ports[i]])
	}
	return used
}
