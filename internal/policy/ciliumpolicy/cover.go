package ciliumpolicy

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// minimal removes the ports and peers that the remaining rules also allow, and rules that become empty. It keeps rules
// with L7 rules for DNS, because they also let Cilium read lookups.
func minimal(rules []Rule, d policy.Direction) []Rule {
	gone := make([]bool, len(rules))
	others := func(i int, r Rule) bool {
		for peer, port := range r.pairs() {
			a, b := r.pair(peer, port)
			covered := false
			for j, other := range rules {
				covered = covered || j != i && !gone[j] && covers(other, a, b, d)
			}
			if !covered {
				return false
			}
		}
		return true
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if len(r.Ports) > 0 && r.Ports[0].HasDNS() {
			continue
		}
		if others(i, r) {
			gone[i] = true
			continue
		}
		for j := len(r.AllowedPorts()) - 1; j >= 0 && len(r.AllowedPorts()) > 1; j-- {
			used := make([]bool, len(r.AllowedPorts()))
			used[j] = true
			alone := r.keep(policy.Usage{Rule: true, Peers: fill(len(r.peers())), Ports: used})
			invert(used)
			without := r.keep(policy.Usage{Rule: true, Peers: fill(len(r.peers())), Ports: used})
			if others(i, alone) || allCovered(without, alone, d) {
				r = without
			}
		}
		for j := len(r.peers()) - 1; j >= 0 && len(r.peers()) > 1; j-- {
			used := make([]bool, len(r.peers()))
			used[j] = true
			alone := r.keep(policy.Usage{Rule: true, Peers: used, Ports: fill(len(r.AllowedPorts()))})
			invert(used)
			without := r.keep(policy.Usage{Rule: true, Peers: used, Ports: fill(len(r.AllowedPorts()))})
			if others(i, alone) || allCovered(without, alone, d) {
				r = without
			}
		}
		rules[i] = r
	}
	var kept []Rule
	for i, r := range rules {
		if !gone[i] {
			kept = append(kept, r)
		}
	}
	return kept
}

func fill(n int) []bool { return slices.Repeat([]bool{true}, n) }

func invert(used []bool) {
	for i := range used {
		used[i] = !used[i]
	}
}

func allCovered(wide, narrow Rule, d policy.Direction) bool {
	for peer, port := range narrow.pairs() {
		if a, b := narrow.pair(peer, port); !covers(wide, a, b, d) {
			return false
		}
	}
	return true
}

// covers reports whether a rule allows everything that a pair of another rule allows. It may miss coverage, but never
// reports coverage that does not exist.
func covers(r Rule, peer peerRef, port portRef, d policy.Direction) bool {
	if len(r.Ports) > 0 && r.Ports[0].Rules != nil {
		return false
	}
	for i, j := range r.pairs() {
		a, b := r.pair(i, j)
		if coversPeer(a, peer) && coversPort(b, port) &&
			(!namesDNS(peer, port, d) || namesDNS(a, b, d) ||
				allowsAny(a, b) && (Dialect{}).classifyPort(port, policy.ResolverPort) == policy.IncludesDNS) {
			return true
		}
	}
	return false
}

// namesDNS reports whether a pair may stand for the cluster's resolver, whatever its peer is.
func namesDNS(peer peerRef, port portRef, d policy.Direction) bool {
	if d != policy.Egress || port.icmp != nil || peer.name != nil {
		return false
	}
	switch (Dialect{}).classifyPort(port, policy.ResolverPort) {
	case policy.NamesDNS:
		return true
	case policy.IncludesDNS:
		return mayBeResolver(peer)
	}
	return false
}

func coversPeer(wide, narrow peerRef) bool {
	switch {
	case wide == peerRef{}, wide.entity == cilium.All:
		return true
	case narrow == peerRef{}:
		return false
	case wide.entity != "":
		return wide.entity == narrow.entity || wide.entity == cilium.World && narrow.cidr != nil
	case wide.cidr != nil && narrow.cidr != nil:
		return policy.CoversRange(wide.cidr.CIDR, wide.cidr.Except, narrow.cidr.CIDR, narrow.cidr.Except)
	case wide.name != nil && narrow.name != nil:
		return *wide.name == *narrow.name || narrow.name.MatchName != "" && wide.name.Matches(narrow.name.MatchName)
	case wide.endpoint != nil && narrow.endpoint != nil:
		return coversPods(wide.endpoint, narrow.endpoint)
	}
	return false
}

// coversPods reports whether a selector selects all pods of another. A selector without a namespace selects pods of the
// policy's own namespace, so both need the same namespace requirements.
func coversPods(wide, narrow *metav1.LabelSelector) bool {
	w, n := plainSelector(wide), plainSelector(narrow)
	namespaces := func(s *metav1.LabelSelector) metav1.LabelSelector {
		only := metav1.LabelSelector{}
		for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
			if isNamespaceKey(key) {
				metav1.AddLabelToSelector(&only, key, s.MatchLabels[key])
			}
		}
		for _, e := range s.MatchExpressions {
			if isNamespaceKey(e.Key) {
				only.MatchExpressions = append(only.MatchExpressions, e)
			}
		}
		return policy.SortedSelector(only)
	}
	return equality.Semantic.DeepEqual(namespaces(w), namespaces(n)) && policy.CoversSelector(w, n)
}

func coversPort(wide, narrow portRef) bool {
	switch {
	case wide == portRef{}:
		return true
	case wide.icmp != nil && narrow.icmp != nil:
		return *wide.icmp == *narrow.icmp
	case wide.port == nil || narrow.port == nil:
		return false
	}
	w, n := *wide.port, *narrow.port
	first, isNumber := w.Number()
	from, isNumberToo := n.Number()
	switch {
	case w.Protocol != "" && w.Protocol != cilium.Any && w.Protocol != n.Protocol:
		return false
	case isNumber && first == 0:
		return true
	case isNumber != isNumberToo:
		return false
	case !isNumber:
		return w.Port == n.Port
	}
	return from > 0 && first <= from && max(from, int(n.EndPort)) <= max(first, int(w.EndPort))
}
