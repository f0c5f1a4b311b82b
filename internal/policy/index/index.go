// Package index finds the few rules of policies that can decide about a flow, so that a verdict on many flows of large
// policies does not read every rule each time.
package index

import (
	"cmp"
	"net/netip"
	"slices"
)

// Index finds, among all pairs of a peer and a port that rules have, the few that can allow a flow or come nearest to it.
// It only leaves pairs out: what a pair does to a flow is still for the dialect's match to say.
//
// It rests on two facts. A peer that asks for an address, a label or a host can fit no flow without that. And all other peers
// of one class fit such a flow alike, so that of those with equal ports the first stands for all.
type Index struct {
	ports    map[RuleAt]*portIndex
	prefixes map[netip.Prefix][]PeerAt
	lengths  map[int]bool // of prefixes
	labels   map[labelPair][]PeerAt
	hosts    map[string][]PeerAt
	others   []PeerAt // that may fit any flow
	classes  map[string]*classIndex
	uniform  map[int][]Pair // pairs of classes that fit or do not as a whole, by the number of their port
	unported []Pair         // those of them without a single number
}

// RuleAt is the position of a rule: the number of its policy, and its own in that policy.
type RuleAt struct{ View, Rule int }

// PeerAt is a peer of a rule; -1 where it has none, which is everywhere.
type PeerAt struct {
	RuleAt
	Peer int
}

// Pair is a peer of a rule with one of its ports; -1 where it has none, which is every port.
type Pair struct {
	PeerAt
	Port int
}

func (a Pair) compare(b Pair) int {
	return cmp.Or(cmp.Compare(a.View, b.View), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Port, b.Port))
}

type labelPair struct{ key, value string }

// Peer is what an index has to know of a peer. At most one of prefix, labels and host is set; without any the peer is as all
// of its class are, unless it is one of others.
type Peer struct {
	Class  string
	Prefix netip.Prefix
	Labels map[string]string
	Host   string
	Other  bool // it fits as no other peer does
}

// Port is what decides how a port fits a flow.
type Port struct {
	any         bool // every port of every protocol
	Icmp        bool
	First, Last int // of the numbers; 0 is all of them
	Name        string
	Protocol    string
}

// number returns the one number that a port is for, or false.
func (p Port) number() (int, bool) {
	return p.First, p.First > 0 && p.First == p.Last && !p.Icmp && p.Name == ""
}

// portIndex is the ports of one rule.
type portIndex struct {
	byNumber map[int][]int
	others   []int
	first    int // the first that has one number; -1: none has
}

// classIndex is, for each way in which ports fit, the first pair of a class.
type classIndex struct {
	known    map[Port]bool
	byNumber map[int][]Pair
	others   []Pair
	first    []Pair // one, or none
}

// Flow is what an index has to know of a flow.
type Flow struct {
	Addr    netip.Addr
	NoAddr  bool // it goes to an unknown address
	Labels  map[string]string
	Host    string
	Ports   []int // of ports that may fit
	AnyPort bool  // every port may fit: it is a look-up; numbers are ports at which its name is listed
}

// New returns an empty index.
func New() *Index {
	return &Index{
		ports: make(map[RuleAt]*portIndex), prefixes: make(map[netip.Prefix][]PeerAt), lengths: make(map[int]bool),
		labels: make(map[labelPair][]PeerAt), hosts: make(map[string][]PeerAt), classes: make(map[string]*classIndex),
		uniform: make(map[int][]Pair),
	}
}

// Rule is a rule as an index takes it in.
type Rule struct {
	At    RuleAt
	Peers []Peer
	Ports []Port
}

// AddAll takes in rules in their order. everywhere is a rule's peer where it has none.
func (x *Index) AddAll(rules []Rule, everywhere Peer) {
	frequency := make(map[labelPair]int) // a selector is found by the rarest of its labels
	for _, r := range rules {
		for _, p := range r.Peers {
			for key, value := range p.Labels {
				frequency[labelPair{key, value}]++
			}
		}
	}
	for _, r := range rules {
		x.addPorts(r)
		classes := make(map[string]bool)
		add := func(i int, p Peer) {
			at := PeerAt{r.At, i}
			switch {
			case p.Other:
				x.others = append(x.others, at)
			case p.Prefix.IsValid():
				x.prefixes[p.Prefix.Masked()] = append(x.prefixes[p.Prefix.Masked()], at)
				x.lengths[p.Prefix.Bits()] = true
			case len(p.Labels) > 0:
				pair := rarest(p.Labels, frequency)
				x.labels[pair] = append(x.labels[pair], at)
			case p.Host != "":
				x.hosts[p.Host] = append(x.hosts[p.Host], at)
			default:
				x.addUniform(at, r.Ports)
			}
			if !p.Other && !classes[p.Class] {
				classes[p.Class] = true
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

// eachPort calls do with the index of each port of a rule; -1 where it has none.
func eachPort(ports []Port, do func(i int, p Port)) {
	if len(ports) == 0 {
		do(-1, Port{any: true})
	}
	for i, p := range ports {
		do(i, p)
	}
}

func (x *Index) addPorts(r Rule) {
	index := &portIndex{byNumber: make(map[int][]int), first: -1}
	eachPort(r.Ports, func(i int, p Port) {
		n, single := p.number()
		if !single {
			index.others = append(index.others, i)
			return
		}
		index.byNumber[n] = append(index.byNumber[n], i)
		if index.first < 0 {
			index.first = i
		}
	})
	x.ports[r.At] = index
}

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

// Fitting returns the peers that can fit a flow, but for those of classes that fit as a whole.
func (x *Index) Fitting(f Flow) []PeerAt {
	found := slices.Clone(x.others)
	if f.Addr.IsValid() {
		for bits := range x.lengths {
			if prefix, err := f.Addr.Prefix(bits); err == nil {
				found = append(found, x.prefixes[prefix]...)
			}
		}
	}
	if f.NoAddr {
		found = append(found, x.prefixes[netip.PrefixFrom(netip.IPv4Unspecified(), 0)]...)
		found = append(found, x.prefixes[netip.PrefixFrom(netip.IPv6Unspecified(), 0)]...)
	}
	for key, value := range f.Labels {
		found = append(found, x.labels[labelPair{key, value}]...)
	}
	if f.Host != "" {
		found = append(found, x.hosts[f.Host]...)
	}
	return found
}

// withPorts returns peers with those of their ports that can fit a flow, and the first of those that cannot.
func (x *Index) withPorts(peers []PeerAt, f Flow) []Pair {
	var pairs []Pair
	for _, at := range peers {
		ports := x.ports[at.RuleAt]
		for _, i := range ports.others {
			pairs = append(pairs, Pair{at, i})
		}
		if ports.first >= 0 {
			pairs = append(pairs, Pair{at, ports.first})
		}
		for _, n := range f.Ports {
			for _, i := range ports.byNumber[n] {
				pairs = append(pairs, Pair{at, i})
			}
		}
	}
	return pairs
}

// Nearest returns pairs in their order, among which are the first that allows a flow, if any does, and the first of those that
// come nearest to it.
func (x *Index) Nearest(f Flow) []Pair {
	pairs := x.withPorts(x.Fitting(f), f)
	for _, class := range x.classes {
		pairs = append(append(pairs, class.others...), class.first...)
		for _, n := range f.Ports {
			pairs = append(pairs, class.byNumber[n]...)
		}
	}
	slices.SortFunc(pairs, Pair.compare)
	return slices.Compact(pairs)
}

// Allowing returns pairs, among which are all that allow a flow.
func (x *Index) Allowing(f Flow) []Pair {
	if f.AnyPort {
		return x.withAllPorts(f)
	}
	pairs := append(x.withPorts(x.Fitting(f), f), x.unported...)
	for _, n := range f.Ports {
		pairs = append(pairs, x.uniform[n]...)
	}
	return pairs
}

// withAllPorts is allowing for a flow that any port may fit.
func (x *Index) withAllPorts(f Flow) []Pair {
	pairs := slices.Clone(x.unported)
	for _, uniform := range x.uniform {
		pairs = append(pairs, uniform...)
	}
	for _, at := range x.Fitting(f) {
		ports := x.ports[at.RuleAt]
		for _, i := range ports.others {
			pairs = append(pairs, Pair{at, i})
		}
		for _, same := range ports.byNumber {
			for _, i := range same {
				pairs = append(pairs, Pair{at, i})
			}
		}
	}
	return pairs
}
