package policy

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
)

// minimalCilium removes from rules the ports and peers that what remains allows too, and rules of which nothing remains.
// What Cilium reads of look-ups stays: it does more than to allow.
func minimalCilium(rules []ciliumRule, d direction) []ciliumRule {
	gone := make([]bool, len(rules))
	others := func(i int, r ciliumRule) bool {
		for peer, port := range r.pairs() {
			a, b := r.pair(peer, port)
			covered := false
			for j, other := range rules {
				covered = covered || j != i && !gone[j] && coversCilium(other, a, b, d)
			}
			if !covered {
				return false
			}
		}
		return true
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if len(r.ports) > 0 && r.ports[0].Rules != nil {
			continue
		}
		if others(i, r) {
			gone[i] = true
			continue
		}
		for j := len(r.openTo()) - 1; j >= 0 && len(r.openTo()) > 1; j-- {
			used := make([]bool, len(r.openTo()))
			used[j] = true
			alone := r.keep(usage{true, fill(len(r.peers())), used})
			invert(used)
			without := r.keep(usage{true, fill(len(r.peers())), used})
			if others(i, alone) || allCovered(without, alone, d) {
				r = without
			}
		}
		for j := len(r.peers()) - 1; j >= 0 && len(r.peers()) > 1; j-- {
			used := make([]bool, len(r.peers()))
			used[j] = true
			alone := r.keep(usage{true, used, fill(len(r.openTo()))})
			invert(used)
			without := r.keep(usage{true, used, fill(len(r.openTo()))})
			if others(i, alone) || allCovered(without, alone, d) {
				r = without
			}
		}
		rules[i] = r
	}
	var kept []ciliumRule
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

func allCovered(wide, narrow ciliumRule, d direction) bool {
	for peer, port := range narrow.pairs() {
		if a, b := narrow.pair(peer, port); !coversCilium(wide, a, b, d) {
			return false
		}
	}
	return true
}

// coversCilium reports whether a rule allows all that a pair of another does. It may fail to see that one does, never the
// reverse.
func coversCilium(r ciliumRule, peer ciliumPeerRef, port ciliumPortRef, d direction) bool {
	if len(r.ports) > 0 && r.ports[0].Rules != nil {
		return false
	}
	for i, j := range r.pairs() {
		a, b := r.pair(i, j)
		if coversCiliumPeer(a, peer) && coversCiliumPort(b, port) &&
			(!ciliumNamesDNS(peer, port, d) || ciliumNamesDNS(a, b, d) || allowsAnyCilium(a, b) && (Scope{}).wordOfCiliumPort(port, resolverPort) == includesDNS) {
			return true
		}
	}
	return false
}

// ciliumNamesDNS reports whether a pair may stand for the cluster's resolver, whatever its peer is.
func ciliumNamesDNS(peer ciliumPeerRef, port ciliumPortRef, d direction) bool {
	if d != egress || port.icmp != nil || peer.name != nil {
		return false
	}
	switch (Scope{}).wordOfCiliumPort(port, resolverPort) {
	case namesDNS:
		return true
	case includesDNS:
		return mayBeCiliumResolver(peer)
	}
	return false
}

func coversCiliumPeer(wide, narrow ciliumPeerRef) bool {
	switch {
	case wide == ciliumPeerRef{}, wide.entity == cilium.All:
		return true
	case narrow == ciliumPeerRef{}:
		return false
	case wide.entity != "":
		return wide.entity == narrow.entity || wide.entity == cilium.World && narrow.cidr != nil
	case wide.cidr != nil && narrow.cidr != nil:
		return coversRange(wide.cidr.CIDR, wide.cidr.Except, narrow.cidr.CIDR, narrow.cidr.Except)
	case wide.name != nil && narrow.name != nil:
		return *wide.name == *narrow.name || narrow.name.MatchName != "" && wide.name.Matches(narrow.name.MatchName)
	case wide.endpoint != nil && narrow.endpoint != nil:
		return coversPods(wide.endpoint, narrow.endpoint)
	}
	return false
}

// coversPods reports whether a selector is for all pods of another. One that says nothing of namespaces is for those of
// the policy's own.
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
		return sortedSelector(only)
	}
	return equality.Semantic.DeepEqual(namespaces(w), namespaces(n)) && coversSelector(w, n)
}

func coversCiliumPort(wide, narrow ciliumPortRef) bool {
	switch {
	case wide == ciliumPortRef{}:
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
