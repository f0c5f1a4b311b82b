// Package index finds the few rules that can decide about a flow, so that evaluating many flows against large
// policies does not read every rule each time.
package index

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// Index finds, among all pairs of a peer and a port in the rules, the few that can allow a flow or come nearest to
// it. It only excludes pairs; the dialect's match still decides how a pair matches a flow.
//
// The index relies on two facts. A peer that requires an address, a label or a host cannot match a flow without it.
// All other peers of one class match such a flow equally, so the first of those with equal ports represents them all.
type Index struct {
	ports    [][]portIndex // by policy and rule
	prefixes map[netip.Prefix][]PeerAt
	lengths  []int // prefix lengths in use
	labels   map[labelPair][]PeerAt
	hosts    map[string][]PeerAt
	others   []PeerAt // peers that may match any flow
	classes  map[string]*classIndex
	uniform  map[int][]Pair // pairs of classes that match, or do not match, as a whole, by port number
	unported []Pair         // those pairs without a single port number
}

// RuleAt is the position of a rule: the index of its policy, and its index within that policy.
type RuleAt struct{ Policy, Rule int }

// PeerAt is the position of a peer in a rule. Peer is -1 for a rule without peers, which matches everywhere.
type PeerAt struct {
	RuleAt
	Peer int
}

// Pair is a peer of a rule with one of its ports. Port is -1 for a rule without ports, which matches every port.
type Pair struct {
	PeerAt
	Port int
}

func (a Pair) compare(b Pair) int {
	return cmp.Or(
		cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Peer, b.Peer),
		cmp.Compare(a.Port, b.Port),
	)
}

type labelPair struct{ key, value string }

// Peer describes a peer to the index. At most one of Prefix, Labels and Host is set. A peer without any of them
// matches like all of its class, unless Other is set.
type Peer struct {
	Class  string
	Prefix netip.Prefix
	Labels map[string]string
	Host   string
	Other  bool // it matches like no other peer
}

// Port describes how a port matches a flow.
type Port struct {
	any         bool // every port of every protocol
	Icmp        bool
	First, Last int // the range of numbers; 0 means all of them
	Name        string
	Protocol    string
	Requests    string // that are allowed there; empty is every request
}

// number returns the port's number if it has exactly one; otherwise the result is false.
func (p Port) number() (int, bool) {
	return p.First, p.First > 0 && p.First == p.Last && !p.Icmp && p.Name == ""
}

// portIndex holds the ports of one rule.
type portIndex struct {
	numbered []numberedPort // with exactly one number, sorted by number and index
	others   []int          // the indexes of the others
	first    int            // the smallest index of a numbered port; -1 if there is none
}

type numberedPort struct{ number, index int }

// matching returns the numbered ports that can match a flow.
func (x portIndex) matching(f Flow) []numberedPort {
	switch {
	case f.AnyPort:
		return x.numbered
	case len(f.Ports) == 1:
		return x.at(f.Ports[0])
	}
	var all []numberedPort
	for _, n := range f.Ports {
		all = append(all, x.at(n)...)
	}
	return all
}

// at returns the ports with a number.
func (x portIndex) at(number int) []numberedPort {
	compare := func(p numberedPort, n int) int { return cmp.Compare(p.number, n) }
	i, _ := slices.BinarySearchFunc(x.numbered, number, compare)
	end := i
	for end < len(x.numbered) && x.numbered[end].number == number {
		end++
	}
	return x.numbered[i:end]
}

// classIndex holds the first pair of a class for each way in which ports match.
type classIndex struct {
	known    map[Port]bool
	byNumber map[int][]Pair
	others   []Pair
	first    []Pair // at most one
}

// Flow describes a flow to the index.
type Flow struct {
	Addr    netip.Addr
	NoAddr  bool // its destination address is unknown
	Labels  map[string]string
	Host    string
	Ports   []int // ports that may match
	AnyPort bool  // every port may match (a lookup); Ports holds those at which its name is listed
}

// New returns an empty index.
func New() *Index {
	return &Index{
		prefixes: make(map[netip.Prefix][]PeerAt), labels: make(map[labelPair][]PeerAt),
		hosts: make(map[string][]PeerAt), classes: make(map[string]*classIndex), uniform: make(map[int][]Pair),
	}
}

// Rule describes a rule to the index.
type Rule struct {
	At    RuleAt
	Peers []Peer
	Ports []Port
}

// AddAll adds rules in their order. everywhere is the peer of a rule without peers.
func (x *Index) AddAll(rules []Rule, everywhere Peer) {
	frequency := make(map[labelPair]int) // the index files a selector under its rarest label
	for _, r := range rules {
		for _, p := range r.Peers {
			for key, value := range p.Labels {
				frequency[labelPair{key, value}]++
			}
		}
	}
	var classes []string // of one rule
	for _, r := range rules {
		x.addPorts(r)
		classes = classes[:0]
		add := func(i int, p Peer) {
			at := PeerAt{r.At, i}
			switch {
			case p.Other:
				x.others = append(x.others, at)
			case p.Prefix.IsValid():
				x.prefixes[p.Prefix.Masked()] = append(x.prefixes[p.Prefix.Masked()], at)
				if !slices.Contains(x.lengths, p.Prefix.Bits()) {
					x.lengths = append(x.lengths, p.Prefix.Bits())
				}
			case len(p.Labels) > 0:
				pair := rarest(p.Labels, frequency)
				x.labels[pair] = append(x.labels[pair], at)
			case p.Host != "":
				x.hosts[p.Host] = append(x.hosts[p.Host], at)
			default:
				x.addUniform(at, r.Ports)
			}
			if !p.Other && !slices.Contains(classes, p.Class) {
				classes = append(classes, p.Class)
				x.addToClass(p.Class, at, r.Ports)
			}
		}
		for i, p := range r.Peers {
			add(i, p)
		}
		if len(r.Peers) == 0 {
			add(-1, everywhere)
		}
	}
}

func rarest(set map[string]string, frequency map[labelPair]int) labelPair {
	var best labelPair
	for key, value := range set {
		p := labelPair{key, value}
		if best == (labelPair{}) || cmp.Or(cmp.Compare(frequency[p], frequency[best]), cmp.Compare(p.key, best.key)) < 0 {
			best = p
		}
	}
	return best
}

// eachPort calls do for each port of a rule with its index, or once with -1 if the rule has no ports.
func eachPort(ports []Port, do func(i int, p Port)) {
	if len(ports) == 0 {
		do(-1, Port{any: true})
	}
	for i, p := range ports {
		do(i, p)
	}
}

func (x *Index) addPorts(r Rule) {
	index := portIndex{first: -1}
	eachPort(r.Ports, func(i int, p Port) {
		n, single := p.number()
		if !single {
			index.others = append(index.others, i)
			return
		}
		index.numbered = append(index.numbered, numberedPort{n, i})
		if index.first < 0 {
			index.first = i
		}
	})
	slices.SortFunc(index.numbered, func(a, b numberedPort) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.index, b.index))
	})
	for len(x.ports) <= r.At.Policy {
		x.ports = append(x.ports, nil)
	}
	of := &x.ports[r.At.Policy]
	for len(*of) <= r.At.Rule {
		*of = append(*of, portIndex{first: -1})
	}
	(*of)[r.At.Rule] = index
}

func (x *Index) portsOf(at RuleAt) portIndex { return x.ports[at.Policy][at.Rule] }

func (x *Index) addUniform(at PeerAt, ports []Port) {
	eachPort(ports, func(i int, p Port) {
		if n, single := p.number(); single {
			x.uniform[n] = append(x.uniform[n], Pair{at, i})
		} else {
			x.unported = append(x.unported, Pair{at, i})
		}
	})
}

func (x *Index) addToClass(class string, at PeerAt, ports []Port) {
	index := x.classes[class]
	if index == nil {
		index = &classIndex{known: make(map[Port]bool), byNumber: make(map[int][]Pair)}
		x.classes[class] = index
	}
	eachPort(ports, func(i int, p Port) {
		if index.known[p] {
			return
		}
		index.known[p] = true
		pair := Pair{at, i}
		if n, single := p.number(); !single {
			index.others = append(index.others, pair)
		} else {
			index.byNumber[n] = append(index.byNumber[n], pair)
			if len(index.first) == 0 {
				index.first = append(index.first, pair)
			}
		}
	})
}

// Matching yields the peers that can match a flow, without those of classes that match as a whole.
func (x *Index) Matching(f Flow) iter.Seq[PeerAt] {
	return func(yield func(PeerAt) bool) {
		each := func(peers []PeerAt) bool {
			for _, at := range peers {
				if !yield(at) {
					return false
				}
			}
			return true
		}
		if !each(x.others) {
			return
		}
		if f.Addr.IsValid() {
			for _, bits := range x.lengths {
				if prefix, err := f.Addr.Prefix(bits); err == nil && !each(x.prefixes[prefix]) {
					return
				}
			}
		}
		if f.NoAddr && !(each(x.prefixes[netip.PrefixFrom(netip.IPv4Unspecified(), 0)]) &&
			each(x.prefixes[netip.PrefixFrom(netip.IPv6Unspecified(), 0)])) {
			return
		}
		for key, value := range f.Labels {
			if !each(x.labels[labelPair{key, value}]) {
				return
			}
		}
		if f.Host != "" {
			each(x.hosts[f.Host])
		}
	}
}

// Nearest returns sorted pairs. They include the first that allows the flow, if any does, and the first of those that
// come nearest to it.
func (x *Index) Nearest(f Flow) []Pair {
	var pairs []Pair
	for at := range x.Matching(f) {
		ports := x.portsOf(at.RuleAt)
		for _, i := range ports.others {
			pairs = append(pairs, Pair{at, i})
		}
		if ports.first >= 0 { // stands for those that cannot match
			pairs = append(pairs, Pair{at, ports.first})
		}
		for _, n := range f.Ports {
			for _, p := range ports.at(n) {
				pairs = append(pairs, Pair{at, p.index})
			}
		}
	}
	for _, class := range x.classes {
		pairs = append(append(pairs, class.others...), class.first...)
		for _, n := range f.Ports {
			pairs = append(pairs, class.byNumber[n]...)
		}
	}
	slices.SortFunc(pairs, Pair.compare)
	return slices.Compact(pairs)
}

// Allowing yields pairs that include all that allow the flow, in no particular order.
func (x *Index) Allowing(f Flow) iter.Seq[Pair] {
	return func(yield func(Pair) bool) {
		each := func(pairs []Pair) bool {
			for _, p := range pairs {
				if !yield(p) {
					return false
				}
			}
			return true
		}
		for at := range x.Matching(f) {
			ports := x.portsOf(at.RuleAt)
			for _, i := range ports.others {
				if !yield(Pair{at, i}) {
					return
				}
			}
			for _, p := range ports.matching(f) {
				if !yield(Pair{at, p.index}) {
					return
				}
			}
		}
		if !each(x.unported) {
			return
		}
		if f.AnyPort {
			for _, pairs := range x.uniform {
				if !each(pairs) {
					return
				}
			}
			return
		}
		for _, n := range f.Ports {
			if !each(x.uniform[n]) {
				return
			}
		}
	}
}

// First returns the first of the pairs that allow a flow, if any does.
func (x *Index) First(f Flow, allows func(Pair) bool) (first Pair, found bool) {
	for at := range x.Allowing(f) {
		if (!found || at.compare(first) < 0) && allows(at) {
			first, found = at, true
		}
	}
	return first, found
}

// Any reports whether any pair allows a flow.
func (x *Index) Any(f Flow, allows func(Pair) bool) bool {
	for at := range x.Allowing(f) {
		if allows(at) {
			return true
		}
	}
	return false
}
