package netzerotest

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/hostname"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// speech is what clients call the server of a flow. As many names are kept as the kernel tells of, which is bounded there.
type speech struct {
	event    *probe.FlowEvent    // nil until it has come
	asked    []string            // the names that DNS was asked for, if the flow has any
	names    map[string]*calling // by name
	nameless bool                // a client sent something that has no name in it, or none that a host can have
}

// calling is one name by which clients call the server of a flow.
type calling struct {
	evidence flow.Evidence
	words    []words // all that is this name to us
}

// words are what a client says of the server, of which the kernel counts who says so.
type words struct {
	hash  uint64
	asked bool // a question had been asked, which may be another client's
	outer bool // it may not be the name that is meant
}

func (c *capture) speechOf(k probe.Key) *speech {
	s := c.speeches[k]
	if s == nil {
		s = &speech{names: make(map[string]*calling)}
		c.speeches[k] = s
	}
	return s
}

// hear takes in what clients call a server.
func (c *capture) hear(e *probe.NameEvent, batches map[*membership]*endpoint.Batch) {
	s := c.speechOf(e.Key)
	name, evidence := calledBy(e)
	c.keepServerName(e.Hash, serverName{name, evidence})
	if name == "" {
		s.nameless = true
		return
	}
	said, names := words{e.Hash, e.DNSMatch, evidence == flow.ByTLSOuter}, []string{name}
	if e.DNSMatch {
		if known := c.askedAs(e, said, name); len(known) > 0 || said.outer {
			names, evidence = known, flow.ByDNS
		}
	}
	for _, name := range names {
		call := s.names[name]
		if call == nil {
			call = &calling{evidence: evidence}
			s.names[name] = call
		}
		if rank(evidence) < rank(call.evidence) {
			call.evidence = evidence
		}
		call.words = append(call.words, said)
		c.call(s, name, call.evidence, batches)
	}
}

// isAsked reports whether DNS was asked for what a client calls the server.
func (s *speech) isAsked(name string) bool {
	return slices.ContainsFunc(s.asked, func(asked string) bool { return is(asked, name) })
}

// calledBy returns the name in what a client sent; "" where there is none that a host can have.
func calledBy(e *probe.NameEvent) (name string, evidence flow.Evidence) {
	var err error
	switch e.Source {
	case probe.NamesByTLS:
		evidence = flow.ByTLS
		name, err = hostname.FromTLS(e.Text)
	case probe.NamesByTLSOuter:
		evidence = flow.ByTLSOuter
		name, err = hostname.FromTLS(e.Text)
	case probe.NamesByHTTP:
		evidence = flow.ByHTTP
		name, err = hostname.FromHTTP(e.Text)
	}
	if err != nil {
		return "", flow.NoEvidence // anybody can send anything: the flow stays an address
	}
	return name, evidence
}

// rank orders evidence of one name, best first, so that which came first does not show.
func rank(e flow.Evidence) int {
	return slices.Index([]flow.Evidence{flow.ByDNS, flow.ByTLS, flow.ByTLSOuter, flow.ByHTTP}, e)
}

// call gives a flow a name that clients call its server by, where nothing but an address of another machine is known of the
// server, or what DNS was asked for another connection.
func (c *capture) call(said *speech, name string, evidence flow.Evidence, batches map[*membership]*endpoint.Batch) {
	e := said.event
	if e == nil || said.isAsked(name) {
		return
	}
	_, stray := c.recipients(e)
	for _, m := range c.all() {
		if !m.sawElsewhere(e.Key, said.asked) {
			continue
		}
		identity := c.identify(m, e, name, batches)
		if identity.Endpoint.Evidence == flow.ByDNS {
			identity.Endpoint.Evidence = evidence
		}
		m.note(e, name, identity, stray)
		key := sightingKey{e.Key, identity.Endpoint.Name}
		s := m.seen[key]
		if !slices.Contains(s.called, name) {
			s.called = append(slices.Clip(s.called), name)
			m.seen[key] = s
		}
	}
}

// sawElsewhere reports whether a flow was seen to go to another machine, of which the address is known or what DNS said. A Peer that
// is known by its name only is what DNS said, too.
func (m *membership) sawElsewhere(k probe.Key, asked []string) bool {
	if len(asked) == 0 {
		s, seen := m.seen[sightingKey{k, ""}]
		return seen && s.isBare()
	}
	for key, s := range m.seen {
		if key.Key != k {
			continue
		}
		switch s.flow.Destination.Evidence {
		case flow.ByDNS:
			return true
		case flow.ByOption:
			if !s.identity.Local && m.identifier.Peer(k.Addr, k.Port) == (endpoint.Peer{}) {
				return true
			}
		}
	}
	return false
}

// isBare reports whether nothing but an address of another machine is known of the other end.
func (s sighting) isBare() bool {
	return s.name == "" && !s.identity.Local && s.flow.Destination.Kind == flow.Address
}

// countOf returns how often a sighting was seen; false where its connections are all those of names, which are sightings of
// their own. An attempt on which nothing was sent is no other flow: it went where the names are, also where the kernel kept
// it apart because something started meanwhile.
func (m *membership) countOf(s sighting, named map[probe.Key]bool, flows map[probe.Key]uint64, names map[probe.ServerNameKey]uint64) (count uint64, counts bool) {
	key := s.event.Key
	if key.Connection() != 0 {
		return countOfConnection(s, flows), true
	}
	said := m.capture.speeches[key]
	if said == nil {
		said = &speech{}
	}
	if len(s.called) > 0 && !said.isAsked(s.name) {
		return said.count(key, names, func(name string) bool { return slices.Contains(s.called, name) }), true
	}
	all := flows[key]
	if s.isBare() && len(said.names) == 0 {
		return all, said.nameless || !named[timeless(key)]
	}
	return m.countOfMeant(s, said, all, names)
}

// count returns how many connections of a flow call the server by one of these names.
func (s *speech) count(k probe.Key, names map[probe.ServerNameKey]uint64, is func(name string) bool) (count uint64) {
	for name, call := range s.names {
		if !is(name) {
			continue
		}
		for _, w := range call.words {
			count += names[w.key(k)]
		}
	}
	return count
}

// named returns where this recording's flows have names that clients call the server by.
func (m *membership) named() map[probe.Key]bool {
	named := make(map[probe.Key]bool)
	for _, s := range m.seen {
		if len(s.called) > 0 {
			named[timeless(s.event.Key)] = true
		}
	}
	return named
}

// timeless returns what a flow's key says of who connects where, without what tells one time from another.
func timeless(k probe.Key) probe.Key {
	return probe.Key{Cgroup: k.Cgroup, Netns: k.Netns, Addr: k.Addr, Port: k.Port, Protocol: k.Protocol}
}
