package networkpolicy

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// uniteRules returns rules that allow what the given ones allow: one for each list of peers, in the order of
// Generate, without parts that other rules allow.
func uniteRules(
	rules []Rule, subject policy.Workload, d policy.Direction, annotated bool, reserved []policy.Reservation,
) []Rule {
	for {
		united := minimal(uniteByPeers(rules, subject, d), d, annotated, reserved)
		if encodeRules(united) == encodeRules(rules) {
			return united
		}
		rules = united // several rules may have the same peers now
	}
}

func encodeRules(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(policy.EncodeJSON(r.Peers) + policy.EncodeJSON(r.Ports))
	}
	return b.String()
}

// uniteByPeers returns one rule for each list of peers.
func uniteByPeers(rules []Rule, subject policy.Workload, d policy.Direction) []Rule {
	var united []Rule
	byPeers := make(map[string]int)
	for _, r := range rules {
		r = Rule{policy.SortedSet(r.Peers), explicit(r.Ports)}
		key := policy.EncodeJSON(r.Peers)
		i, seen := byPeers[key]
		switch {
		case !seen:
			byPeers[key] = len(united)
			united = append(united, r)
		case len(united[i].Ports) == 0:
		case len(r.Ports) == 0:
			united[i].Ports = nil
		default:
			united[i].Ports = policy.SortedSet(append(united[i].Ports, r.Ports...))
		}
	}
	e := edit{merging: &merging{}, subject: subject, direction: d}
	slices.SortFunc(united, func(a, b Rule) int {
		k, generated := e.peerOfRule(a)
		l, too := e.peerOfRule(b)
		switch {
		case generated && too:
			return cmp.Or(k.compare(l), cmp.Compare(policy.EncodeJSON(a.Peers), policy.EncodeJSON(b.Peers)))
		case generated:
			return -1
		case too:
			return 1
		}
		return cmp.Compare(policy.EncodeJSON(a.Peers), policy.EncodeJSON(b.Peers))
	})
	for i := range united {
		slices.SortFunc(united[i].Ports, comparePolicyPorts)
	}
	return united
}

// explicit returns the distinct ports, with their protocols written out.
func explicit(ports []networkingv1.NetworkPolicyPort) []networkingv1.NetworkPolicyPort {
	ports = slices.Clone(ports)
	for i := range ports {
		if ports[i].Protocol == nil {
			tcp := corev1.ProtocolTCP
			ports[i].Protocol = &tcp
		}
	}
	return policy.SortedSet(ports)
}

func comparePolicyPorts(a, b networkingv1.NetworkPolicyPort) int {
	number := func(p networkingv1.NetworkPolicyPort) int32 {
		if p.Port == nil {
			return 0
		}
		return p.Port.IntVal
	}
	return cmp.Or(
		cmp.Compare(number(a), number(b)),
		cmp.Compare(portProtocol(&a), portProtocol(&b)),
		cmp.Compare(policy.EncodeJSON(a), policy.EncodeJSON(b)),
	)
}

// minimal removes the ports and peers that the remaining rules allow too, and rules that become empty.
func minimal(rules []Rule, d policy.Direction, annotated bool, reserved []policy.Reservation) []Rule {
	c := covering{direction: d, annotated: annotated, reserved: reserved}
	gone := make([]bool, len(rules))
	// others reports whether the remaining rules, with without in place of rule i, allow each of the pairs.
	others := func(
		i int, without Rule, peers []*networkingv1.NetworkPolicyPeer, ports []*networkingv1.NetworkPolicyPort,
	) bool {
		for _, peer := range peers {
			for _, port := range ports {
				covered := len(without.Ports) > 0 && c.covers(without, peer, port)
				for j, r := range rules {
					covered = covered || j != i && !gone[j] && c.covers(r, peer, port)
				}
				if !covered {
					return false
				}
			}
		}
		return true
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := &rules[i]
		if len(r.Ports) == 0 {
			gone[i] = others(i, Rule{}, elements(r.Peers), elements(r.Ports))
		}
		for j := len(r.Ports) - 1; j >= 0; j-- {
			without := Rule{r.Peers, slices.Delete(slices.Clone(r.Ports), j, j+1)}
			if others(i, without, elements(r.Peers), elements(r.Ports[j:j+1])) {
				r.Ports = without.Ports
				gone[i] = len(r.Ports) == 0
			}
		}
		for j := len(r.Peers) - 1; j >= 0 && len(r.Peers) > 1 && !gone[i]; j-- {
			without := Rule{slices.Delete(slices.Clone(r.Peers), j, j+1), r.Ports}
			covered := true
			for _, port := range elements(r.Ports) {
				covered = covered && (c.covers(without, &r.Peers[j], port) ||
					others(i, Rule{}, elements(r.Peers[j:j+1]), []*networkingv1.NetworkPolicyPort{port}))
			}
			if covered {
				r.Peers = without.Peers
			}
		}
	}
	var kept []Rule
	for i, r := range rules {
		if !gone[i] {
			kept = append(kept, r)
		}
	}
	return kept
}
