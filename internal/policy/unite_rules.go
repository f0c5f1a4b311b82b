package policy

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// uniteRules returns rules that allow what the given ones allow: one to a list of peers, in the order of Generate, and
// without what others of them allow.
func uniteRules(rules []rule, subject Workload, d direction, annotated bool, reserved []reservation) []rule {
	for {
		united := minimal(uniteByPeers(rules, subject, d), d, annotated, reserved)
		if encodeRules(united) == encodeRules(rules) {
			return united
		}
		rules = united // of which some may be for the same peers by now
	}
}

func encodeRules(rules []rule) string {
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(encode(r.peers) + encode(r.ports))
	}
	return b.String()
}

// uniteByPeers returns one rule to a list of peers.
func uniteByPeers(rules []rule, subject Workload, d direction) []rule {
	var united []rule
	byPeers := make(map[string]int)
	for _, r := range rules {
		r = rule{sortedSet(r.peers), explicit(r.ports)}
		key := encode(r.peers)
		i, seen := byPeers[key]
		switch {
		case !seen:
			byPeers[key] = len(united)
			united = append(united, r)
		case len(united[i].ports) == 0:
		case len(r.ports) == 0:
			united[i].ports = nil
		default:
			united[i].ports = sortedSet(append(united[i].ports, r.ports...))
		}
	}
	e := edit{merging: &merging{}, subject: subject, direction: d}
	slices.SortFunc(united, func(a, b rule) int {
		k, generated := e.peerOfRule(a)
		l, too := e.peerOfRule(b)
		switch {
		case generated && too:
			return cmp.Or(k.compare(l), cmp.Compare(encode(a.peers), encode(b.peers)))
		case generated:
			return -1
		case too:
			return 1
		}
		return cmp.Compare(encode(a.peers), encode(b.peers))
	})
	for i := range united {
		slices.SortFunc(united[i].ports, comparePolicyPorts)
	}
	return united
}

// explicit returns ports with their protocols, each once.
func explicit(ports []networkingv1.NetworkPolicyPort) []networkingv1.NetworkPolicyPort {
	ports = slices.Clone(ports)
	for i := range ports {
		if ports[i].Protocol == nil {
			tcp := corev1.ProtocolTCP
			ports[i].Protocol = &tcp
		}
	}
	return sortedSet(ports)
}

func comparePolicyPorts(a, b networkingv1.NetworkPolicyPort) int {
	number := func(p networkingv1.NetworkPolicyPort) int32 {
		if p.Port == nil {
			return 0
		}
		return p.Port.IntVal
	}
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(portProtocol(&a), portProtocol(&b)), cmp.Compare(encode(a), encode(b)))
}

// minimal removes from rules the ports and peers that what remains allows too, and rules of which nothing remains.
func minimal(rules []rule, d direction, annotated bool, reserved []reservation) []rule {
	c := covering{direction: d, annotated: annotated, reserved: reserved}
	gone := make([]bool, len(rules))
	// others reports whether what remains, without a port (or every one) of some peers of rule i, allows each of the pairs.
	others := func(i int, without rule, peers []*networkingv1.NetworkPolicyPeer, ports []*networkingv1.NetworkPolicyPort) bool {
		for _, peer := range peers {
			for _, port := range ports {
				covered := len(without.ports) > 0 && c.covers(without, peer, port)
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
		if len(r.ports) == 0 {
			gone[i] = others(i, rule{}, elements(r.peers), elements(r.ports))
		}
		for j := len(r.ports) - 1; j >= 0; j-- {
			without := rule{r.peers, slices.Delete(slices.Clone(r.ports), j, j+1)}
			if others(i, without, elements(r.peers), elements(r.ports[j:j+1])) {
				r.ports = without.ports
				gone[i] = len(r.ports) == 0
			}
		}
		for j := len(r.peers) - 1; j >= 0 && len(r.peers) > 1 && !gone[i]; j-- {
			without := rule{slices.Delete(slices.Clone(r.peers), j, j+1), r.ports}
			covered := true
			for _, port := range elements(r.ports) {
				covered = covered && (c.covers(without, &r.peers[j], port) || others(i, rule{}, elements(r.peers[j:j+1]), []*networkingv1.NetworkPolicyPort{port}))
			}
			if covered {
				r.peers = without.peers
			}
		}
	}
	var kept []rule
	for i, r := range rules {
		if !gone[i] {
			kept = append(kept, r)
		}
	}
	return kept
}

// sortedSet returns the elements of a list in one order, each once.
func sortedSet[T any](list []T) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(encode(a), encode(b)) })
	return slices.CompactFunc(list, func(a, b T) bool { return encode(a) == encode(b) })
}

// encode returns a Kubernetes value as JSON, map keys sorted.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are plain values: no channels, functions or cycles
	}
	return string(text)
}
