package policydiff

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/policy"
)

// comparison compares what two sides say about a subject in a direction.
type comparison struct {
	subject   *Subject
	direction policy.Direction
	old, new  side
}

// compare adds the changes between both sides to the subject.
func (c comparison) compare() {
	switch isolatedBefore, isolated := c.old.isolated(), c.new.isolated(); {
	case isolatedBefore && isolated:
		c.addPeers(c.old.allowed, c.new.allowed, reach)
		c.addPrograms()
	case isolated:
		c.addIsolation(c.new, false)
		c.addEntries()
	case isolatedBefore:
		c.addIsolation(c.old, true)
		c.addEntries()
	default: // rules of Cilium and lists of annotations matter to pods that another policy isolates
		c.addPeers(c.old.allowed, c.new.allowed, conditional)
	}
	c.addPeers(c.new.denied, c.old.denied, denial)
}

// addEntries adds the changes of the lists of flows without a rule. For ingress they count without isolation too, if a
// policy selects the pods.
func (c comparison) addEntries() {
	if c.direction == policy.Ingress && c.old.selected && c.new.selected {
		c.addPeers(entriesOf(c.old.allowed), entriesOf(c.new.allowed), reach)
	}
}

func entriesOf(atoms []atom) []atom {
	return slices.DeleteFunc(slices.Clone(atoms), func(a atom) bool { return a.peer.kind != entry })
}

// space is everything that two lists of atoms mention: peers, and segments of addresses.
type space struct {
	peers  []peer
	index  map[string]int // of a peer by its key
	ranges []segment      // of peers that are addresses
	hosts  []segment      // of listed names, so that a long list of addresses does not cut them
}

func spaceOf(atoms []atom) space {
	s := space{index: make(map[string]int)}
	byKey := make(map[string]peer)
	var ranges, hosts []block
	for _, a := range atoms {
		byKey[a.peer.key()] = a.peer
		switch {
		case a.peer.kind == listed:
			hosts = append(hosts, a.block)
		case a.peer.hasAddresses():
			ranges = append(ranges, a.block)
		}
	}
	for i, key := range slices.Sorted(maps.Keys(byKey)) {
		s.index[key] = i
		s.peers = append(s.peers, byKey[key])
	}
	s.ranges, s.hosts = segmentsOf(ranges), segmentsOf(hosts)
	return s
}

// segments returns the places at which a peer can be open, or nil for the only place of a peer without addresses.
func (s space) segments(i int) []segment {
	switch p := s.peers[i]; {
	case p.kind == listed:
		return s.hosts
	case p.hasAddresses():
		return s.ranges
	}
	return nil
}

func (s space) places(i int) int {
	if s.peers[i].hasAddresses() {
		return len(s.segments(i))
	}
	return 1
}

// applies reports whether an atom, whose peer covers another one, is for that peer at a place.
func (s space) applies(a atom, i, place int) bool {
	return !a.peer.hasAddresses() || s.peers[i].hasAddresses() && a.block.holds(s.segments(i)[place])
}

// opened returns the ports that atoms open to a peer at each place.
func (s space) opened(atoms []atom, i int) []ports {
	all := make([]ports, s.places(i))
	for _, a := range atoms {
		if !a.peer.covers(s.peers[i]) {
			continue
		}
		for place := range all {
			if s.applies(a, i, place) {
				all[place].add(a.ports)
			}
		}
	}
	return all
}

// differing returns the indexes of the peers with atoms that only one of two lists has. Whatever another peer gains or
// loses, it does with a wider one of these.
func (s space) differing(before, after []atom) []int {
	in := make(map[string]int) // 1 for the first list, 2 for the second, 3 for both
	for i, atoms := range [][]atom{before, after} {
		for _, a := range atoms {
			in[a.key()] |= 1 << i
		}
	}
	found := make(map[int]bool)
	for _, a := range slices.Concat(before, after) {
		if in[a.key()] != 3 {
			found[s.index[a.peer.key()]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// addPeers adds what one list of atoms allows more than another, and less. What a wider peer gained or lost too is
// said for that one only.
func (c comparison) addPeers(before, after []atom, kind Kind) {
	s := spaceOf(slices.Concat(before, after))
	differing := s.differing(before, after)
	was, is := make(map[int][]ports), make(map[int][]ports)
	for _, i := range differing {
		was[i], is[i] = s.opened(before, i), s.opened(after, i)
	}
	for _, more := range []bool{true, false} {
		from, to, atoms := was, is, after
		if !more {
			from, to, atoms = is, was, before
		}
		changed := make(map[int][]ports)
		for _, i := range differing {
			for place := range to[i] {
				changed[i] = append(changed[i], to[i][place].minus(from[i][place]))
			}
		}
		for _, i := range differing {
			own := slices.Clone(changed[i])
			for _, j := range differing {
				p, wider := s.peers[i], s.peers[j]
				if j == i || !wider.covers(p) || p.covers(wider) && i < j {
					continue
				}
				for place := range own {
					own[place] = own[place].minus(s.at(changed[j], i, place, j))
				}
			}
			for _, change := range c.changesOf(s, i, own, atoms, kind, more) {
				if !more && kind == reach {
					c.addRest(&change, s, i, after)
				}
				c.subject.add(change)
			}
		}
	}
}

// at returns the ports of a wider peer at a place of another one: those that are open at the whole segment.
func (s space) at(open []ports, i, place, wider int) ports {
	if !s.peers[wider].hasAddresses() {
		return open[0]
	}
	own := s.segments(i)[place]
	for k, segment := range s.segments(wider) {
		if segment.first.Compare(own.first) <= 0 && own.last.Compare(segment.last) <= 0 {
			return open[k]
		}
	}
	return ports{}
}

// addRest adds to a change that allows less the narrower peers that NEW still opens at some of its ports.
func (c comparison) addRest(change *Change, s space, i int, after []atom) {
	var rest []string
	for j, p := range s.peers {
		if !s.peers[i].covers(p) || p.covers(s.peers[i]) || p.kind == lookup {
			continue
		}
		var at []segment
		open := false
		for place, is := range s.opened(after, j) {
			if is.and(change.open).isEmpty() {
				continue
			}
			open = true
			if p.hasAddresses() {
				at = append(at, s.segments(j)[place])
			}
		}
		if open {
			rest = append(rest, c.describe(p, joined(at)))
		}
	}
	if len(rest) > 0 {
		slices.Sort(rest)
		change.say(change.format+", except %s", append(change.names, policy.Abbreviate(rest, ", "))...)
	}
}

// describe names a peer of the subject's policies. at are its addresses, if it has some.
func (c comparison) describe(p peer, at []segment) string {
	text := describeAddresses(at)
	if p.kind == listed && (strings.HasPrefix(text, internet) || strings.HasPrefix(text, everyAddress)) {
		text = "" // hosts with names are there
	}
	return p.describe(c.direction, c.subject.Namespace, text)
}

// changesOf returns the changes of one peer: one for each set of ports. open are the ports by place.
func (c comparison) changesOf(s space, i int, open []ports, atoms []atom, kind Kind, more bool) []Change {
	var all []Change
	byPorts := make(map[string][]int)
	for place, set := range open {
		if !set.isEmpty() {
			byPorts[set.String()] = append(byPorts[set.String()], place)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(byPorts)) {
		places := byPorts[text]
		change := Change{Direction: c.direction, Kind: kind, More: more, Ports: text, peer: s.peers[i], open: open[places[0]]}
		var at []segment
		if s.peers[i].hasAddresses() {
			for _, place := range places {
				at = append(at, s.segments(i)[place])
			}
		}
		for _, a := range atoms {
			opens := func(place int) bool { return s.applies(a, i, place) && !a.ports.and(open[place]).isEmpty() }
			if a.peer.covers(s.peers[i]) && !slices.Contains(change.Rules, a.from) && slices.ContainsFunc(places, opens) {
				change.Rules = append(change.Rules, a.from)
			}
		}
		change.at = joined(at)
		c.say(&change)
		all = append(all, change)
	}
	return all
}

// say writes the sentence of a change of one peer.
func (c comparison) say(change *Change) {
	p := change.peer
	change.Peer = c.describe(p, change.at)
	source, destination := c.subject.Name, change.Peer
	if c.direction == policy.Ingress {
		source, destination = destination, source
	}
	may := word(change.More, "may now", "may no longer")
	switch {
	case p.kind == reading:
		change.Kind, change.Ports = lookups, ""
		change.say("Cilium "+may+" read lookups of %s by %s, so that rules for names (toFQDNs) "+
			word(change.More, "match", "do not match")+" them", p.name, c.subject.Name)
	case p.kind == lookup:
		change.Kind, change.Ports = lookups, ""
		change.say("%s "+may+" look up %s, even if the name has no address", c.subject.Name, p.name)
	case p.kind == entry:
		packets, to, _ := strings.Cut(p.name, " ")
		change.Kind, change.Ports, change.Peer = annotation, packets, to
		if source = c.subject.Name; c.direction == policy.Ingress {
			source, to = to, source
		}
		change.say("%s "+may+" send %s to %s, by an annotation", source, packets, to)
	case change.Kind == conditional:
		change.say("%s "+may+" reach %s on "+change.Ports+" where another policy isolates these pods", source, destination)
	case change.Kind == denial:
		change.say(word(change.More, "no deny rule keeps %s from reaching %s on "+change.Ports+" any more",
			"a deny rule now keeps %s from reaching %s on "+change.Ports), source, destination)
	default:
		change.say("%s "+may+" reach %s on "+change.Ports, source, destination)
	}
}

func word(first bool, one, other string) string {
	if first {
		return one
	}
	return other
}

// maxListed is the largest number of peers that a sentence about isolation lists.
const maxListed = 10

// addIsolation adds that a subject became isolated, or is not isolated any more. limited is the side with isolation.
func (c comparison) addIsolation(limited side, more bool) {
	change := Change{Direction: c.direction, Kind: isolation, More: more}
	for _, name := range limited.isolating {
		change.Rules = append(change.Rules, Origin{name, -1})
	}
	var list Subject
	alone := comparison{&list, c.direction, side{}, side{}}
	list.Namespace = c.subject.Namespace
	alone.addPeers(nil, limited.allowed, reach)
	var allowed []string
	for _, one := range list.Changes {
		switch one.Kind {
		case reach:
			allowed = append(allowed, policy.Abbreviate(strings.Split(one.Peer, ", "), ", ")+" on "+one.Ports)
		case annotation:
			allowed = append(allowed, one.Peer+" by "+one.Ports)
		}
	}
	slices.Sort(allowed)
	change.Allowed = slices.Clone(allowed)
	if rest := len(allowed) - maxListed; rest > 0 {
		allowed = append(allowed[:maxListed], strconv.Itoa(rest)+" more")
	}
	names := []string{c.subject.Name}
	var slots []string
	for _, text := range allowed {
		names = append(names, text)
		slots = append(slots, "%s")
	}
	limit := "nothing"
	if len(slots) > 0 {
		limit = "only " + strings.Join(slots, "; ")
	}
	switch {
	case c.direction == policy.Egress && more:
		change.say("%s may now reach everything: before, egress rules allowed "+limit, names...)
	case c.direction == policy.Egress:
		change.say("%s could reach everything, and now egress rules allow "+limit, names...)
	case more:
		change.say("%s may now be reached by everything: before, ingress rules allowed "+limit, names...)
	default:
		change.say("%s could be reached by everything, and now ingress rules allow "+limit, names...)
	}
	c.subject.add(change)
}

// addPrograms adds the changes of the lists of programs.
func (c comparison) addPrograms() {
	change := Change{Direction: c.direction, Kind: programs}
	for _, name := range c.new.isolating {
		change.Rules = append(change.Rules, Origin{name, -1})
	}
	switch {
	case c.old.lists && !c.new.lists:
		change.More = true
		change.say("any program of %s may now open connections", c.subject.Name)
		c.subject.add(change)
	case !c.old.lists && c.new.lists:
		change.say("only listed programs of %s may now open connections: %s", c.subject.Name,
			strings.Join(slices.Sorted(maps.Keys(c.new.programs)), ", "))
		c.subject.add(change)
	default:
		for _, more := range []bool{true, false} {
			change.More = more
			list := c.new.programsWithout(c.old)
			if !more {
				list = c.old.programsWithout(c.new)
			}
			for _, program := range list {
				change.Peer = program
				change.say("%s "+word(more, "may now", "may no longer")+" open connections with the program %s",
					c.subject.Name, program)
				c.subject.add(change)
			}
		}
	}
}
