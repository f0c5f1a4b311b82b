package policy

import (
	"cmp"
	"net/netip"
	"slices"
)

// ruleIndex finds, among all pairs of a peer and a port that rules have, the few that can allow a flow or come nearest to it.
// It only leaves pairs out: what a pair does to a flow is still for the dialect's match to say.
//
// It rests on two facts. A peer that asks for an address, a label or a host can fit no flow without that. And all other peers
// of one class fit such a flow alike, so that of those with equal ports the first stands for all.
type ruleIndex struct {
	ports    map[ruleAt]*portIndex
	prefixes map[netip.Prefix][]peerAt
	lengths  map[int]bool // of prefixes
	labels   map[labelPair][]peerAt
	hosts    map[string][]peerAt
	others   []peerAt // that may fit any flow
	classes  map[string]*classIndex
	uniform  map[int][]pairAt // pairs of classes that fit or do not as a whole, by the number of their port
	unported []pairAt         // those of them without a single number
}

type ruleAt struct{ view, rule int }

// peerAt is a peer of a rule; -1 where it has none, which is everywhere.
type peerAt struct {
	ruleAt
	peer int
}

// pairAt is a peer of a rule with one of its ports; -1 where it has none, which is every port.
type pairAt struct {
	peerAt
	port int
}

func (a pairAt) compare(b pairAt) int {
	return cmp.Or(cmp.Compare(a.view, b.view), cmp.Compare(a.rule, b.rule), cmp.Compare(a.peer, b.peer), cmp.Compare(a.port, b.port))
}

type labelPair struct{ key, value string }

// peerSpec is what an index has to know of a peer. At most one of prefix, labels and host is set; without any the peer is as all
// of its class are, unless it is one of others.
type peerSpec struct {
	class  string
	prefix netip.Prefix
	labels map[string]string
	host   string
	other  bool // it fits as no other peer does
}

// portSpec is what decides how a port fits a flow.
type portSpec struct {
	any         bool // every port of every protocol
	icmp        bool
	first, last int // of the numbers; 0 is all of them
	name        string
	protocol    string
}

// number returns the one number that a port is for, or false.
func (p portSpec) number() (int, bool) {
	return p.first, p.first > 0 && p.first == p.last && !p.icmp && p.name == ""
}

// portIndex is the ports of one rule.
type portIndex struct {
	byNumber map[int][]int
	others   []int
	first    int // the first that has one number; -1: none has
}

// classIndex is, for each way in which ports fit, the first pair of a class.
type classIndex struct {
	known    map[portSpec]bool
	byNumber map[int][]pairAt
	others   []pairAt
	first    []pairAt // one, or none
}

// flowSpec is what an index has to know of a flow.
type flowSpec struct {
	addr    netip.Addr
	noAddr  bool // it goes to an unknown address
	labels  map[string]string
	host    string
	numbers []int // of ports that may fit
	anyPort bool  // every port may fit: it is a look-up; numbers are ports at which its name is listed
}

func newRuleIndex() *ruleIndex {
	return &ruleIndex{
		ports: make(map[ruleAt]*portIndex), prefixes: make(map[netip.Prefix][]peerAt), lengths: make(map[int]bool),
		labels: make(map[labelPair][]peerAt), hosts: make(map[string][]peerAt), classes: make(map[string]*classIndex),
		uniform: make(map[int][]pairAt),
	}
}

// indexedRule is a rule as an index takes it in.
type indexedRule struct {
	at    ruleAt
	peers []peerSpec
	ports []portSpec
}

// addAll takes in rules in their order. everywhere is a rule's peer where it has none.
func (x *ruleIndex) addAll(rules []indexedRule, everywhere peerSpec) {
	frequency := make(map[labelPair]int) // a selector is found by the rarest of its labels
	for _, r := range rules {
		for _, p := range r.peers {
			for key, value := range p.labels {
				frequency[labelPair{key, value}]++
			}
		}
	}
	for _, r := range rules {
		x.addPorts(r)
		classes := make(map[string]bool)
		add := func(i int, p peerSpec) {
			at := peerAt{r.at, i}
			switch {
			case p.other:
				x.others = append(x.others, at)
			case p.prefix.IsValid():
				x.prefixes[p.prefix.Masked()] = append(x.prefixes[p.prefix.Masked()], at)
				x.lengths[p.prefix.Bits()] = true
			case len(p.labels) > 0:
				pair := rarest(p.labels, frequency)
				x.labels[pair] = append(x.labels[pair], at)
			case p.host != "":
				x.hosts[p.host] = append(x.hosts[p.host], at)
			default:
				x.addUniform(at, r.ports)
			}
			if !p.other && !classes[p.class] {
				classes[p.class] = true
				x.addToClass(p.class, at, r.ports)
			}
		}
		for i, p := range r.peers {
			add(i, p)
		}
		if len(r.peers) == 0 {
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
func eachPort(ports []portSpec, do func(i int, p portSpec)) {
	if len(ports) == 0 {
		do(-1, portSpec{any: true})
	}
	for i, p := range ports {
		do(i, p)
	}
}

func (x *ruleIndex) addPorts(r indexedRule) {
	index := &portIndex{byNumber: make(map[int][]int), first: -1}
	eachPort(r.ports, func(i int, p portSpec) {
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
	x.ports[r.at] = index
}

func (x *ruleIndex) addUniform(at peerAt, ports []portSpec) {
	eachPort(ports, func(i int, p portSpec) {
		if n, single := p.number(); single {
			x.uniform[n] = append(x.uniform[n], pairAt{at, i})
		} else {
			x.unported = append(x.unported, pairAt{at, i})
		}
	})
}

func (x *ruleIndex) addToClass(class string, at peerAt, ports []portSpec) {
	index := x.classes[class]
	if index == nil {
		index = &classIndex{known: make(map[portSpec]bool), byNumber: make(map[int][]pairAt)}
		x.classes[class] = index
	}
	eachPort(ports, func(i int, p portSpec) {
		if index.known[p] {
			return
		}
		index.known[p] = true
		pair := pairAt{at, i}
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

// fitting returns the peers that can fit a flow, but for those of classes that fit as a whole.
func (x *ruleIndex) fitting(f flowSpec) []peerAt {
	found := slices.Clone(x.others)
	if f.addr.IsValid() {
		for bits := range x.lengths {
			if prefix, err := f.addr.Prefix(bits); err == nil {
				found = append(found, x.prefixes[prefix]...)
			}
		}
	}
	if f.noAddr {
		found = append(found, x.prefixes[netip.PrefixFrom(netip.IPv4Unspecified(), 0)]...)
		found = append(found, x.prefixes[netip.PrefixFrom(netip.IPv6Unspecified(), 0)]...)
	}
	for key, value := range f.labels {
		found = append(found, x.labels[labelPair{key, value}]...)
	}
	if f.host != "" {
		found = append(found, x.hosts[f.host]...)
	}
	return found
}

// withPorts returns peers with those of their ports that can fit a flow, and the first of those that cannot.
func (x *ruleIndex) withPorts(peers []peerAt, f flowSpec) []pairAt {
	var pairs []pairAt
	for _, at := range peers {
		ports := x.ports[at.ruleAt]
		for _, i := range ports.others {
			pairs = append(pairs, pairAt{at, i})
		}
		if ports.first >= 0 {
			pairs = append(pairs, pairAt{at, ports.first})
		}
		for _, n := range f.numbers {
			for _, i := range ports.byNumber[n] {
				pairs = append(pairs, pairAt{at, i})
			}
		}
	}
	return pairs
}

// nearest returns pairs in their order, among which are the first that allows a flow, if any does, and the first of those that
// come nearest to it.
func (x *ruleIndex) nearest(f flowSpec) []pairAt {
	pairs := x.withPorts(x.fitting(f), f)
	for _, class := range x.classes {
		pairs = append(append(pairs, class.others...), class.first...)
		for _, n := range f.numbers {
			pairs = append(pairs, class.byNumber[n]...)
		}
	}
	slices.SortFunc(pairs, pairAt.compare)
	return slices.Compact(pairs)
}

// allowing returns pairs, among which are all that allow a flow.
func (x *ruleIndex) allowing(f flowSpec) []pairAt {
	if f.anyPort {
		return x.withAllPorts(f)
	}
	pairs := append(x.withPorts(x.fitting(f), f), x.unported...)
	for _, n := range f.numbers {
		pairs = append(pairs, x.uniform[n]...)
	}
	return pairs
}

// withAllPorts is allowing for a flow that any port may fit.
func (x *ruleIndex) withAllPorts(f flowSpec) []pairAt {
	pairs := slices.Clone(x.unported)
	for _, uniform := range x.uniform {
		pairs = append(pairs, uniform...)
	}
	for _, at := range x.fitting(f) {
		ports := x.ports[at.ruleAt]
		for _, i := range ports.others {
			pairs = append(pairs, pairAt{at, i})
		}
		for _, same := range ports.byNumber {
			for _, i := range same {
				pairs = append(pairs, pairAt{at, i})
			}
		}
	}
	return pairs
}
